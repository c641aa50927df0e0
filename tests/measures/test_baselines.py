"""The policy beside the base and beside length, on the same pairs."""

import math

import pytest

from stages.logprobs.margins import MarginRow
from stages.measures.baselines import compare_preferences, compare_with_length
from tests.support.margin_factory import make_row


def rows_that_prefer(*preferred: tuple[bool, bool]) -> list[MarginRow]:
    """A row for each (base prefers chosen, policy prefers chosen)."""
    return [
        make_row(
            f"p{n}",
            ref_chosen_logp=-10.0 if base else -30.0,
            ref_rejected_logp=-20.0,
            chosen_logp=-10.0 if policy else -30.0,
            rejected_logp=-20.0,
        )
        for n, (base, policy) in enumerate(preferred)
    ]


def test_policy_and_base_are_compared_on_the_same_pairs() -> None:
    found = compare_preferences(rows_that_prefer(*[(False, True)] * 6, (True, False), *[(True, True)] * 3))
    assert (found.base, found.policy) == (0.4, 0.9)
    assert (found.difference.n_up, found.difference.n_down) == (6, 1)
    # exact McNemar: 7 changes, at most 1 the other way, both tails: 2 * (1 + 7) / 2^7
    assert found.difference.p_mcnemar == pytest.approx(2 * 8 / 128)
    # gain 5 / 10. Ten components of one pair: SE^2 = 10 / 9 * (7 - 25 / 10) / 100 + 1 / 100 = 0.06,
    # quantile of t with 9 degrees of freedom 2.2621572; no more than 1
    assert found.difference.value == pytest.approx(0.5)
    assert found.difference.low == pytest.approx(0.5 - 2.2621572 * math.sqrt(0.06))
    assert found.difference.high == 1.0


def test_a_policy_that_is_the_base_gains_nothing_and_is_not_certain_of_it() -> None:
    found = compare_preferences(rows_that_prefer(*[(True, True)] * 5, *[(False, False)] * 5))
    assert (found.difference.value, found.difference.p_mcnemar) == (0, 1)
    assert found.difference.low == -found.difference.high < 0


def test_the_margin_over_length_is_paired_and_against_the_better_rule() -> None:
    rows = [
        make_row("a", 0.5, n_chosen_chars=10, n_rejected_chars=20),
        make_row("b", 0.5, n_chosen_chars=10, n_rejected_chars=20),
        make_row("c", 0.5, n_chosen_chars=30, n_rejected_chars=20),
        make_row("d", -0.5, n_chosen_chars=20, n_rejected_chars=20),
    ]
    # shorter wins 2.5 of 4; the margins 3 of 4: +0, +0, +1, -1/2
    found = compare_with_length(rows, lambda row: row.margin > 0)
    assert found.value == pytest.approx(0.125)
