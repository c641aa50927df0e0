"""Agreement between editors: by the definition, by hand, and who does not count."""

import pytest

from stages.measures.agreement import agreement_table, describe_labels, find_in_labels
from tests.data.test_votes import judged
from tests.support.pair_factory import check_raw


def numbers(rows):
    return describe_labels(check_raw(rows).judged)


def test_editors_agree_by_hand():
    # pair 1: two of three agree, so 1 of 3 comparisons; pair 2: a tie and a preference; pair 3: one editor twice
    rows = [
        judged(1, "ann"),
        judged(1, "ben"),
        judged(1, "cid", "b"),
        judged(2, "ann"),
        judged(2, "ben", "tie"),
    ]
    rows += [judged(3, "ann"), judged(3, "ann", pair_id="again"), judged(3, None)]
    found = numbers(rows)["agreement"]
    assert (found["n_items"], found["n_comparisons"], found["share"]) == (2, 4, 0.25)
    assert found["decided_share"] == pytest.approx(1 / 3)
    assert (found["n_repeated"], found["consistency"]) == (1, 1.0)
    assert "low" not in found  # two pairs are too few


def test_without_a_second_judgement_there_is_no_agreement_and_no_ceiling():
    found = numbers([judged(1, "ann"), judged(2, None)])
    assert found["agreement"] == {"n_items": 0, "n_comparisons": 0}
    assert found["ceiling"] == {"status": "unknown", "reason": "no two editors judged the same texts"}


def test_two_ties_agree():
    assert numbers([judged(1, "ann", "tie"), judged(1, "ben", "tie")])["agreement"]["share"] == 1


def test_votes_asked_for_by_doubt_make_labels_and_no_agreement():
    rows = [judged(n, "ann") for n in range(20)]
    rows += [judged(n, "ben", "b" if n < 3 else "a", source="control") for n in range(10, 20)]
    alone = numbers(rows)
    doubted = [judged(n, name, "b", source="suspect") for n in range(10) for name in ("ben", "cid")]
    both = numbers([*rows, *doubted])
    assert both["agreement"] == alone["agreement"]
    assert check_raw([*rows, *doubted]).judged.label.tolist().count(0) == 0  # 2 of 3 against ann
    assert alone["ceiling"]["n_labels"] == both["ceiling"]["n_labels"] == 20


def test_an_editor_who_judges_his_own_pair_again_gives_consistency_and_no_agreement():
    rows = [judged(n, "ann") for n in range(20)]
    rows += [judged(n, "ann", pair_id=f"again{n}", source="control") for n in range(20)]
    found = numbers(rows)
    assert found["agreement"] == {"n_items": 0, "n_comparisons": 0, "n_repeated": 20, "consistency": 1.0}
    assert found["ceiling"]["status"] == "unknown"


def test_little_agreement_is_remarked_on_and_told_by_editor_and_section():
    rows = [
        judged(n, name, "b" if name == "cid" else "a", section="need")
        for n in range(12)
        for name in ("ann", "ben", "cid")
    ]
    checked = check_raw(rows)
    assert find_in_labels(checked.judged, 0.6).remarks == [
        "Editors who judged the same texts agree in 33 % of cases. How far a model can follow them is unknown."
    ]
    table = {(row.kind, row.name): (row.n_comparisons, row.share) for row in agreement_table(checked.judged)}
    assert table == {
        ("editor", "ann"): (24, 0.5), ("editor", "ben"): (24, 0.5), ("editor", "cid"): (24, 0.0),
        ("section", "need"): (36, pytest.approx(1 / 3)),
    }  # fmt: skip
