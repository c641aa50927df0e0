"""Two variants on the same held-out pairs and on the same questions: which is better, and how surely.

The difference is the second minus the first. Interval: the paired difference of `capability`
(half a discordance added to each side, clusters kept together). Test: McNemar (1947), exact.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from statsmodels.stats.contingency_tables import mcnemar

from stages.core.capability import measure_drop
from stages.core.margins import MarginRow
from stages.core.mmlu import MmluAnswer
from stages.core.paired_answers import find_mismatch


class Outcome(NamedTuple):
    """Right or wrong on one pair or question, and what it belongs together with."""

    is_right: bool
    cluster: str


class PairedDifference(NamedTuple):
    """Second minus first, as shares, with a two-sided 95 % interval and McNemar's exact p."""

    n: int
    only_first: int
    only_second: int
    difference: float
    low: float
    high: float
    p_mcnemar: float


class NotComparable(NamedTuple):
    """Why the two cannot be set side by side, as one sentence."""

    sentence: str


def compare_margins(
    first: Sequence[MarginRow], second: Sequence[MarginRow], *, tolerance: float
) -> PairedDifference | NotComparable:
    """Difference in held-out accuracy; a margin within the tolerance is no win."""
    sides = [
        {
            row.pair_id: Outcome(row.margin > tolerance, row.component_id)
            for row in rows
            if row.part == "holdout"
        }
        for rows in (first, second)
    ]
    if sides[0].keys() != sides[1].keys():
        n_shared = len(sides[0].keys() & sides[1].keys())
        return NotComparable(
            f"They were scored on different held-out pairs: {len(sides[0])} and {len(sides[1])}, "
            f"{n_shared} of them the same."
        )
    if {row.split_sha256 for row in first} != {row.split_sha256 for row in second}:
        return NotComparable("They were scored on different splits of the pairs.")
    return paired_difference(sides[0], sides[1])


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
    return paired_difference(sides[0], sides[1])


def paired_difference(first: Mapping[str, Outcome], second: Mapping[str, Outcome]) -> PairedDifference:
    """The difference over equal keys; ValueError where there is nothing to compare."""
    names = sorted(first)
    numbers = {
        cluster: number for number, cluster in enumerate(sorted({one.cluster for one in first.values()}))
    }
    better = np.array(
        [int(second[name].is_right) - int(first[name].is_right) for name in names], dtype=np.int_
    )
    clusters = np.array([numbers[first[name].cluster] for name in names], dtype=np.int_)
    upper = measure_drop(better, clusters)
    only_first, only_second = int((better == -1).sum()), int((better == 1).sum())
    n_same = len(names) - only_first - only_second
    test = mcnemar([[n_same, only_first], [only_second, 0]], exact=True)
    return PairedDifference(
        n=len(names),
        only_first=only_first,
        only_second=only_second,
        difference=upper.drop,
        low=-measure_drop(-better, clusters).high_two_sided,
        high=upper.high_two_sided,
        p_mcnemar=float(test.pvalue),
    )
