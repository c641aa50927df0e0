"""The tables that plots of held-out accuracy are drawn from."""

from stages.files.pairs import PreferencePair
from stages.logprobs.margins import MarginRow
from stages.measures.accuracy_tables import margin_histogram, rules_beside, slices, summarise_votes
from stages.measures.intervals import wilson_interval
from tests.support.margin_factory import make_row
from tests.support.pair_factory import make_pair

TOLERANCE = 1e-4


def rows_with(margins: list[float]) -> list[MarginRow]:
    return [make_row(f"p{number}", margin) for number, margin in enumerate(margins)]


def pairs_of(rows: list[MarginRow]) -> dict[str, PreferencePair]:
    return {row.pair_id: make_pair(pair_id=row.pair_id, editor=row.editor) for row in rows}


def test_an_editor_is_measured_against_that_editors_own_votes_and_unanimous_pairs_stand_alone() -> None:
    rows = [make_row("a", 0.5), make_row("b", -0.5), make_row("c", 0.0), make_row("d", 0.5)]
    votes = [
        {"ann": "chosen", "ben": "chosen"},
        {"ann": "chosen", "ben": "chosen", "cid": "rejected"},
        {"ann": "rejected", "ben": "chosen", "cid": "chosen"},
        {"ann": "chosen", "ben": "chosen", "cid": "tie"},
    ]
    pairs = {
        row.pair_id: make_pair(n_votes=len(said), n_agree=list(said.values()).count("chosen"), votes=said)
        for row, said in zip(rows, votes, strict=True)
    }
    found = {one.name: (one.kind, one.share.k, one.share.n) for one in slices(rows, TOLERANCE, pairs)}
    assert found["unanimous"] == ("votes", 1, 1)
    assert found["by majority"] == ("votes", 1, 3)
    assert found["ann"] == (
        "editor",
        2,
        4,
    )  # right on a and d; b is wrong, and a margin of zero is with nobody
    assert found["cid"] == (
        "editor",
        1,
        2,
    )  # sides with the margin of b against the others; the tie is left out
    assert summarise_votes(rows, TOLERANCE, pairs)["n_unanimous"] == 1
    assert summarise_votes(rows, TOLERANCE, pairs_of(rows)) == {}


def test_slices_are_by_editor_section_and_length() -> None:
    rows = [
        make_row("a", 0.5, editor="e1", section=None, n_chosen_chars=20, n_rejected_chars=10),
        make_row("b", -0.5, editor="e2", section="need", n_chosen_chars=10, n_rejected_chars=20),
        make_row("c", 0.5, editor="e2", section="need", n_chosen_chars=10, n_rejected_chars=10),
        make_row("d", 0.5, editor=None, section=None, n_chosen_chars=80, n_rejected_chars=100),
        make_row("e", 0.5, editor=None, section=None, n_chosen_chars=90, n_rejected_chars=100),
    ]
    found = [
        (one.kind, one.name, one.share.k, one.share.n) for one in slices(rows, TOLERANCE, pairs_of(rows))
    ]
    assert found == [
        ("all", "all pairs", 4, 5),
        ("editor", "e1", 1, 1),
        ("editor", "e2", 1, 2),
        ("section", "need", 1, 2),
        ("length", "chosen is much shorter", 0, 1),
        ("length", "chosen is shorter", 1, 1),
        ("length", "within 10 %", 2, 2),
        ("length", "chosen is much longer", 1, 1),
    ]
    of_e2 = next(one.share for one in slices(rows, TOLERANCE, pairs_of(rows)) if one.name == "e2")
    assert of_e2[3:] == wilson_interval(1, 2)


def test_a_slice_of_clustered_pairs_has_a_wider_interval() -> None:
    wins = [0.1, 0.1, -0.1, -0.1] * 10
    apart = [make_row(f"p{n}", one, editor="e1") for n, one in enumerate(wins)]
    together = [row.model_copy(update={"component_id": f"c{n // 2}"}) for n, row in enumerate(apart)]
    lows = [
        next(one for one in slices(rows, TOLERANCE, pairs_of(rows)) if one.name == "e1").share.low
        for rows in (together, apart)
    ]
    assert lows[0] < lows[1]


def test_rules_stand_beside_the_margins_with_their_intervals() -> None:
    rows = [make_row(f"p{n}", 0.5, n_chosen_chars=10 + n, n_rejected_chars=12) for n in range(5)]
    found = {one.name: one.share for one in rules_beside(rows, TOLERANCE)}
    # shorter, shorter, equal, longer, longer: 2.5 of 5 for either rule, and ties go to the longer
    assert found["longer text"][:3] == (2.5, 5, 0.5)
    assert found["reward margin (the gate)"][:3] == (5, 5, 1)
    assert found["base's log-prob"].value == found["policy's log-prob"].value == 1  # -100 > -101, -90 > -110
    assert "shorter text" in {one.name for one in rules_beside(rows[:3], TOLERANCE)}


def test_the_histogram_has_an_edge_at_zero_and_counts_every_pair() -> None:
    bins = margin_histogram(rows_with([-0.4, -0.01, 0.01, 0.02, 0.4]))
    assert sum(one.n for one in bins) == 5
    assert sum(one.n for one in bins if one.high <= 0) == 2
    assert (bins[0].low, bins[-1].high, len(bins)) == (-0.4, 0.4, 20)
    assert margin_histogram(rows_with([0.0, 0.0])) == [(0.0, 0.0, 0.0, 2)]
