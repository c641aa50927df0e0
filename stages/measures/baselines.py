"""Rules that need no training, and the policy set beside them on the same pairs.

An accuracy means little alone: editors may simply like longer texts, and the base may have preferred
the right side all along.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from stages.logprobs.margins import MarginRow
from stages.measures.paired import PairedDifference, paired_difference

LENGTH_MATCHED_WITHIN = 0.10  # relative difference in characters


class Preference(NamedTuple):
    """Whose higher log-prob is the editors' choice, policy against base, on the same pairs."""

    base: float
    policy: float
    difference: PairedDifference


def longer_wins(rows: Sequence[MarginRow]) -> float:
    """Share of pairs whose chosen side has more characters; equal lengths count one half."""
    return float(np.mean([is_longer(row) for row in rows]))


def is_longer(row: MarginRow) -> float:
    """1 where the chosen side has more characters, 0 where fewer, 1/2 where the lengths are equal."""
    return 0.5 + 0.5 * float(np.sign(row.n_chosen_chars - row.n_rejected_chars))


def is_length_matched(row: MarginRow) -> bool:
    """True where both sides' lengths lie within 10 % of the longer."""
    return abs(length_gap(row)) <= LENGTH_MATCHED_WITHIN


def length_gap(row: MarginRow) -> float:
    """(chosen - rejected) / the longer of both, in characters: in [-1, 1], above 0 where chosen is longer."""
    longest = max(row.n_chosen_chars, row.n_rejected_chars, 1)
    return (row.n_chosen_chars - row.n_rejected_chars) / longest


def base_prefers_chosen(row: MarginRow) -> bool:
    """Whether the base gives the editors' choice the higher log-prob, summed over its tokens."""
    return row.ref_chosen_logp > row.ref_rejected_logp


def base_prefers_chosen_per_token(row: MarginRow) -> bool:
    """The same with each log-prob divided by its number of tokens."""
    return row.ref_chosen_logp / row.n_chosen_tokens > row.ref_rejected_logp / row.n_rejected_tokens


def policy_prefers_chosen(row: MarginRow) -> bool:
    """Whether the policy gives the editors' choice the higher log-prob, summed over its tokens."""
    return row.chosen_logp > row.rejected_logp


def compare_preferences(rows: Sequence[MarginRow]) -> Preference:
    """Policy minus base."""
    change = [int(policy_prefers_chosen(row)) - int(base_prefers_chosen(row)) for row in rows]
    return Preference(
        base=share_of(rows, base_prefers_chosen),
        policy=share_of(rows, policy_prefers_chosen),
        difference=paired_difference(change, [row.component_id for row in rows]),
    )


def compare_with_length(rows: Sequence[MarginRow], is_win: Callable[[MarginRow], bool]) -> PairedDifference:
    """How much more often the margins are right than length is, by the better of its two rules."""
    longer_is_better = longer_wins(rows) >= 0.5
    right = [is_longer(row) if longer_is_better else 1 - is_longer(row) for row in rows]
    return paired_difference(
        [is_win(row) - one for row, one in zip(rows, right, strict=True)], [row.component_id for row in rows]
    )


def share_of(rows: Sequence[MarginRow], holds: Callable[[MarginRow], bool]) -> float:
    """The share of rows of which `holds` is true."""
    return sum(map(holds, rows)) / len(rows)
