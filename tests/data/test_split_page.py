from stages.data.split_page import N_NAMES, PairColumns, Stratum, describe_strata, list_strata
from stages.data.splitting import Parts

PARTS = Parts(train=[0, 1, 2, 3], selection=[4], holdout=[5, 6, 7], left_out=[])


def test_every_pair_stands_in_one_row_of_each_table():
    editors = ["ann", "ann", "ben", None, "ann", "ben", "ann", None]
    rows = list_strata(editors, PARTS, without="nobody")
    # ann: 4 of 8 pairs, so 4/8 of the 3 held out would be a fair share
    assert rows == [
        Stratum("ann", 4, 2, 1, 1, 1.5),
        Stratum("ben", 2, 1, 0, 1, 0.75),
        Stratum("nobody", 2, 1, 0, 1, 0.75),
    ]
    columns = PairColumns([str(place) for place in range(8)], editors, ["Budget"] * 8, is_synthetic=False)
    assert describe_strata(columns, PARTS)["Section"] == [Stratum("Budget", 8, 4, 1, 3, 3.0)]


def test_rare_names_share_a_row():
    names = [f"e{place:03d}" for place in range(N_NAMES + 10)]
    parts = Parts(
        train=list(range(N_NAMES)), selection=[], holdout=list(range(N_NAMES, N_NAMES + 10)), left_out=[]
    )
    rows = list_strata(names, parts, without="nobody")
    assert len(rows) == N_NAMES + 1
    assert rows[-1] == Stratum("10 others", 10, 0, 0, 10, 10 * 10 / (N_NAMES + 10))
    assert sum(row.n_pairs for row in rows) == len(names)
