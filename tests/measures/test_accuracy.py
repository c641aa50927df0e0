"""Held-out accuracy and the rules beside it."""

import math
from fractions import Fraction

import pytest

from stages.errors import InputError
from stages.measures.accuracy import accuracy, check_complete, check_rows, settle_margin, summarise_selection
from stages.measures.accuracy import summarise_holdout as summarise
from stages.measures.baselines import is_length_matched, longer_wins
from stages.measures.calibration import brier_score, calibration
from stages.measures.intervals import wilson_interval
from tests.support.margin_factory import make_row

TOLERANCE = 1e-4


def summarise_holdout(rows: list, tolerance: float) -> dict:
    return summarise(rows, tolerance, min_share=Fraction(17, 25))


def rows_with(margins: list[float]) -> list:
    return [make_row(f"p{number}", margin) for number, margin in enumerate(margins)]


def test_accuracy_is_the_share_of_positive_margins_with_wilsons_interval() -> None:
    share = accuracy(rows_with([0.2, 0.1, -0.3]), TOLERANCE)
    assert share == (2, 3, 2 / 3, *wilson_interval(2, 3))


def test_a_margin_within_the_tolerance_is_zero_and_zero_is_no_win() -> None:
    summary = summarise_holdout(rows_with([1e-4, -1e-4, 0.0, 2e-4]), TOLERANCE)
    assert (summary["k"], summary["n"], summary["n_zero_margins"]) == (1, 4, 3)


def test_mirrored_margins_mirror_the_accuracy() -> None:
    margins = [0.2, 0.1, -0.3, 0.7, -0.2]
    one, other = (
        accuracy(rows_with(margins), TOLERANCE),
        accuracy(rows_with([-m for m in margins]), TOLERANCE),
    )
    assert one.value == pytest.approx(1 - other.value)
    assert one.low == pytest.approx(1 - other.high)


def test_pairs_of_one_component_count_for_less() -> None:
    apart = rows_with([0.1, 0.1, -0.1, -0.1] * 10)
    together = [
        row.model_copy(update={"component_id": f"c{n // 4 * 2 + n % 4 // 2}"}) for n, row in enumerate(apart)
    ]
    assert (
        summarise_holdout(together, TOLERANCE)["n_eff"] < summarise_holdout(apart, TOLERANCE)["n_eff"] == 40
    )
    assert accuracy(together, TOLERANCE).low < accuracy(apart, TOLERANCE).low
    assert summarise_holdout(together, TOLERANCE)["n_components"] == 20


def test_pairs_of_one_component_have_a_share_and_no_interval() -> None:
    rows = [row.model_copy(update={"component_id": "c"}) for row in rows_with([0.2, 0.1, -0.3])]
    assert accuracy(rows, TOLERANCE) == (2, 3, 2 / 3, None, None)
    summary = summarise_holdout(rows, TOLERANCE)
    assert (summary["k"], summary["n_components"]) == (2, 1)
    assert {"low", "high", "n_eff", "calibration_slope"}.isdisjoint(summary)
    assert summarise_selection(rows, TOLERANCE) == {"k": 2, "n": 3, "accuracy": pytest.approx(2 / 3)}


def test_longer_wins_counts_characters_equal_lengths_one_half_and_takes_the_better_rule() -> None:
    rows = [
        make_row("a", n_chosen_chars=10, n_rejected_chars=20),
        make_row("b", n_chosen_chars=10, n_rejected_chars=20),
        make_row("c", n_chosen_chars=30, n_rejected_chars=20),
        make_row("d", n_chosen_chars=20, n_rejected_chars=20),
    ]
    assert longer_wins(rows) == 1.5 / 4
    summary = summarise_holdout(rows, TOLERANCE)
    assert (summary["longer_wins_share"], summary["longer_wins"]) == (0.375, 0.625)


def test_the_bases_own_preference_is_reported_summed_and_per_token() -> None:
    # summed: -100 < -90, wrong; per token: -100/50 = -2 > -90/40 = -2.25, right
    summary = summarise_holdout([make_row(ref_chosen_logp=-100, ref_rejected_logp=-90)], TOLERANCE)
    assert (summary["base_preference"], summary["base_preference_per_token"]) == (0, 1)


@pytest.mark.parametrize(
    ("chosen", "rejected", "matched"), [(100, 90, True), (90, 100, True), (100, 89, False)]
)
def test_matched_means_within_a_tenth_of_the_longer(chosen: int, rejected: int, matched: bool) -> None:
    assert is_length_matched(make_row(n_chosen_chars=chosen, n_rejected_chars=rejected)) is matched


def test_accuracy_on_length_matched_pairs_counts_those_alone() -> None:
    rows = [
        make_row("a", 0.5, n_chosen_chars=100, n_rejected_chars=100),
        make_row("b", -0.5, n_chosen_chars=100, n_rejected_chars=100),
        make_row("c", 0.5, n_chosen_chars=100, n_rejected_chars=10),
    ]
    summary = summarise_holdout(rows, TOLERANCE)
    assert (summary["n_length_matched"], summary["accuracy_length_matched"]) == (2, 0.5)
    assert "accuracy_length_matched" not in summarise_holdout(rows[2:], TOLERANCE)


def test_brier_is_the_squared_miss_of_the_sigmoid() -> None:
    p = 1 / (1 + math.exp(-1.0))
    assert brier_score([make_row("a", 1.0), make_row("b", -1.0)]) == pytest.approx(((1 - p) ** 2 + p**2) / 2)
    assert brier_score([make_row("a", 0.0)]) == 0.25


def test_the_reliability_table_compares_confidence_with_being_right() -> None:
    # |margin| 2: confidence 0.881, bin 0.85-0.90; three of four right
    table = calibration([*rows_with([2.0, 2.0, 2.0, -2.0]), make_row("q", 0.0)], TOLERANCE)
    assert [cell.n for cell in table] == [1, 4]
    assert table[1].predicted == pytest.approx(1 / (1 + math.exp(-2)))
    assert table[1].observed == 0.75
    assert calibration(rows_with([900.0]), TOLERANCE)[0].predicted == 1.0  # the last bin is closed


def test_a_margin_within_the_tolerance_is_right_nowhere_and_zero_in_the_plot() -> None:
    rows = rows_with([0.03, 0.2, -0.2])
    assert [cell.observed for cell in calibration(rows, 0.05)] == [pytest.approx(1 / 3)]
    assert [settle_margin(row, 0.05) for row in rows] == [0.0, 0.2, -0.2]


def test_the_literal_rule_is_counted_in_whole_pairs() -> None:
    # 25 k > 17 n: of 300 pairs 205, because 204 is exactly 68 %
    assert summarise_holdout(rows_with([0.1] * 300), TOLERANCE)["k_needed"] == 205
    assert summarise_holdout(rows_with([0.1] * 40), TOLERANCE)["k_needed"] == 28


def test_synthetic_rows_are_counted_and_the_mean_margin_and_split_told() -> None:
    summary = summarise_holdout([make_row("a", 1.0, synthetic=True), make_row("b", 0.0)], TOLERANCE)
    assert (summary["n_synthetic"], summary["mean_margin"], summary["split_sha256"]) == (1, 0.5, "5" * 64)


def test_selection_has_a_share_and_its_interval() -> None:
    assert summarise_selection(rows_with([0.2, -0.1]), TOLERANCE) == {
        "k": 1, "n": 2, "accuracy": 0.5, "low": wilson_interval(1, 2).low, "high": wilson_interval(1, 2).high,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "rule"),
    [
        ([make_row("a"), make_row("a")], "twice: a"),
        ([make_row("a"), make_row("b", split_sha256="7" * 64)], "several splits"),
        ([], "no pair was scored"),
    ],
)
def test_rows_that_are_no_sound_measurement_are_refused(rows: list, rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        check_rows(rows)


EXPECTED = {"holdout": ["a", "b"], "selection": ["s"]}


@pytest.mark.parametrize(
    ("rows", "rule"),
    [
        ([make_row("a"), make_row("s", part="selection")], r"holdout: 1 of 2 pairs are missing \(b\)"),
        ([make_row("a"), make_row("b")], r"selection: 1 of 1 pairs are missing \(s\)"),
        (
            [make_row("a"), make_row("c"), make_row("s", part="selection")],
            r"holdout: 1 of 2 pairs are missing \(b\) and 1 pairs were not asked for \(c\)",
        ),
        ([make_row("a", split_sha256="7" * 64)], "another split"),
    ],
)
def test_no_share_is_taken_of_half_the_pairs(rows: list, rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        check_complete(rows, EXPECTED, split_sha256="5" * 64)  # type: ignore[arg-type]


def test_exactly_the_expected_pairs_are_complete() -> None:
    rows = [make_row("b"), make_row("s", part="selection"), make_row("a")]
    check_complete(rows, EXPECTED, split_sha256="5" * 64)  # type: ignore[arg-type]
