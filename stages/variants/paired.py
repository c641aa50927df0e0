"""Two variants on the same held-out pairs and on the same questions: which is better, and how surely.

The difference is the second minus the first; interval and test are those of `measures/paired.py`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stages.inference.mmlu.questions import MmluAnswer, find_mismatch
from stages.logprobs.margins import MarginRow, Part
from stages.measures.paired import PairedDifference, paired_difference

PARTS: dict[Part, str] = {"holdout": "held-out", "selection": "selection"}


class Outcome(NamedTuple):
    """Right or wrong on one pair or question, and what it belongs together with."""

    is_right: bool
    cluster: str


class NotComparable(NamedTuple):
    """Why the two cannot be set side by side, as one sentence."""

    sentence: str


def compare_margins(
    first: Sequence[MarginRow], second: Sequence[MarginRow], *, part: Part = "holdout", tolerance: float
) -> PairedDifference | NotComparable:
    """Difference in accuracy on one part of the pairs; a margin within the tolerance is no win."""
    sides = [
        {row.pair_id: Outcome(row.margin > tolerance, row.component_id) for row in rows if row.part == part}
        for rows in (first, second)
    ]
    if sides[0].keys() != sides[1].keys():
        n_shared = len(sides[0].keys() & sides[1].keys())
        return NotComparable(
            f"They were scored on different {PARTS[part]} pairs: {len(sides[0])} and {len(sides[1])}, "
            f"{n_shared} of them the same."
        )
    if {row.split_sha256 for row in first} != {row.split_sha256 for row in second}:
        return NotComparable("They were scored on different splits of the pairs.")
    if not sides[0]:
        return NotComparable(f"They were scored on no {PARTS[part]} pairs.")
    return compare_outcomes(*sides)


def compare_answers(
    first: Sequence[MmluAnswer], second: Sequence[MmluAnswer]
) -> PairedDifference | NotComparable:
    """Difference in right answers."""
    if not first or not second:
        return NotComparable("One of them answered no questions.")
    mismatch = find_mismatch(first, second)
    if mismatch:
        return NotComparable(f"They cannot be paired: {mismatch}.")
    sides = [{row.question_id: Outcome(row.correct, row.subject) for row in rows} for rows in (first, second)]
    return compare_outcomes(*sides)


def compare_outcomes(first: Mapping[str, Outcome], second: Mapping[str, Outcome]) -> PairedDifference:
    """Second minus first over equal keys; ValueError where there are none."""
    better = [float(second[name].is_right) - one.is_right for name, one in first.items()]
    return paired_difference(better, [one.cluster for one in first.values()])
