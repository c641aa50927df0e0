"""Candidates: runs that differ in `train.seed` alone, ranked by the mean of their selection accuracy.

The seed is no choice, so the best of three seeds is luck that the next training will not have. Lowest and
highest say how far the runs lie apart; from so few, no interval is drawn.
"""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import NamedTuple

from stages.core.intervals import Interval
from stages.core.variants import Variant, rank_variants

SEED = "train.seed"


class Candidate(NamedTuple):
    """Its runs, the best selection accuracy first; `mean` and `spread` are None where no run has one."""

    runs: list[Variant]
    n_scored: int
    mean: float | None
    spread: Interval | None  # the lowest and the highest of its runs


def rank_candidates(variants: Iterable[Variant]) -> list[Candidate]:
    """The best mean first; what has none comes last; of equal ones, that with the better best run."""
    groups: dict[object, list[Variant]] = {}
    for variant in rank_variants(variants):
        groups.setdefault(_all_but_the_seed(variant), []).append(variant)
    candidates = [summarize_runs(runs) for runs in groups.values()]
    return sorted(candidates, key=lambda one: (one.mean is None, -(one.mean or 0.0)))


def summarize_runs(runs: Sequence[Variant]) -> Candidate:
    """One candidate of runs that are in their rank."""
    shares = [run.selection.accuracy for run in runs if run.selection]
    if not shares:
        return Candidate([*runs], 0, None, None)
    return Candidate([*runs], len(shares), fmean(shares), Interval(min(shares), max(shares)))


def _all_but_the_seed(variant: Variant) -> object:
    """Equal for runs of one candidate: the parameters, and what was trained on by which code."""
    settings = frozenset((name, value) for name, value in variant.params.items() if name != SEED)
    return settings, variant.trained_on
