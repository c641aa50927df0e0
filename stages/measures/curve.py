"""What more pairs bring: accuracy on the same selection pairs, after training on nested parts of the data.

The average gain of a doubling is the slope of accuracy on log2(n), as a mean over selection pairs:
d_i = sum_k w_k right_ik, w_k = (x_k - mean x) / sum_j (x_j - mean x)^2, x = log2(n), seeds averaged. Its
variance is that of a mean of clustered values (`paired`) plus what the luck of a run adds.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stages.measures.intervals import clustered_mean, clustered_wilson
from stages.measures.paired import paired_difference, quantiles, spread_of_mean

WIDEST = 0.08  # of the range of the average gain: beyond it nothing can be told
MIN_SIZES = 3


class Runs(NamedTuple):
    """The runs of one size; `right` (0 or 1) and `loss` (nats) have shape (seeds, selection pairs)."""

    n_pairs: int
    right: NDArray[np.float64]
    loss: NDArray[np.float64]


class Point(NamedTuple):
    """One size, seeds averaged: shares and nats with 95 % ranges over the selection pairs."""

    n_pairs: int
    n_seeds: int
    accuracy: float
    low: float | None  # None where all pairs belong together
    high: float | None
    loss: float
    loss_low: float | None
    loss_high: float | None


class Gain(NamedTuple):
    """A difference in accuracy with its 95 % range; without a range where all pairs belong together."""

    value: float
    low: float | None
    high: float | None
    from_pairs: float = 0.0  # variance that more selection pairs would make smaller
    from_luck: float = 0.0  # and that more seeds would
    df: float | None = None

    @property
    def is_above_zero(self) -> bool:
        """Is a gain shown?"""
        return self.low is not None and self.low > 0


class Curve(NamedTuple):
    """Points by size, the gain of each size on the one before, the average doubling's and the last one's."""

    points: list[Point]
    steps: list[Gain]
    average: Gain
    last: Gain
    n_selection: int
    is_luck_known: bool  # is there a size with several seeds?

    @property
    def helps(self) -> bool:
        """Would more pairs help? Doublings did so far, and the last one was no loss: a curve bends."""
        return self.average.is_above_zero and self.last.value > 0


def measure_curve(runs: Sequence[Runs], clusters: ArrayLike) -> Curve:
    """Everything that is told of runs at two sizes or more, in any order; ValueError of fewer."""
    ordered = sorted(runs, key=lambda one: one.n_pairs)
    if len(ordered) < 2:
        raise ValueError("a curve needs runs of at least two sizes")
    steps = [contrast(two, [-1.0, 1.0], clusters) for two in itertools.pairwise(ordered)]
    return Curve(
        points=[measure_point(one, clusters) for one in ordered],
        steps=steps,
        average=average_doubling(ordered, clusters),
        last=average_doubling(ordered[-2:], clusters),
        n_selection=ordered[0].right.shape[1],
        is_luck_known=any(len(one.right) > 1 for one in ordered),
    )


def measure_point(runs: Runs, clusters: ArrayLike) -> Point:
    """Accuracy with Wilson's range at the effective size, and log-loss."""
    right, loss = runs.right.mean(axis=0), runs.loss.mean(axis=0)
    low, high = clustered_wilson(right, clusters) or (None, None)
    try:
        mean = paired_difference(loss, clusters, is_bounded=False)
        ends: tuple[float | None, float | None] = (mean.low, mean.high)
    except ValueError:
        ends = (None, None)
    return Point(runs.n_pairs, len(runs.right), float(right.mean()), low, high, float(loss.mean()), *ends)


def average_doubling(runs: Sequence[Runs], clusters: ArrayLike) -> Gain:
    """The slope of accuracy on log2(pairs)."""
    return contrast(runs, slope_weights(runs), clusters)


def slope_weights(runs: Sequence[Runs]) -> NDArray[np.float64]:
    """What each size's accuracy counts in the slope."""
    x = np.log2([one.n_pairs for one in runs])
    centred = x - x.mean()
    found: NDArray[np.float64] = centred / np.sum(centred**2)
    return found


def contrast(runs: Sequence[Runs], weights: ArrayLike, clusters: ArrayLike) -> Gain:
    """Weighted sum of the sizes' accuracies, weights adding up to 0, seeds averaged.

    A run's luck is what its accuracy differs by from that of other seeds beyond what their disagreement on
    these pairs explains (that is in the variance over pairs already). It is taken to be alike at every size.
    Degrees of freedom are Satterthwaite's.
    """
    w = np.asarray(weights, dtype=float)
    reach = float(w[w > 0].sum())  # the largest that one pair can differ by
    values = w @ np.array([one.right.mean(axis=0) for one in runs])
    value = float(np.mean(values))
    spread = spread_of_mean(values / reach, clusters, is_bounded=True)
    if spread is None:
        return Gain(value, None, None)
    from_pairs = reach**2 * spread.variance
    luck = estimate_luck(runs, clusters)
    share = sum(weight**2 / len(one.right) for weight, one in zip(w, runs, strict=True))
    from_luck = share * max(0.0, luck.variance)
    df = spread.df
    if from_luck > 0:
        alone = from_pairs**2 / (math.inf if df is None else df)
        df = (from_pairs + from_luck) ** 2 / (alone + (share * luck.between) ** 2 / luck.df)
    half = quantile(df) * math.sqrt(from_pairs + from_luck)
    return Gain(value, value - half, value + half, from_pairs, from_luck, df)


def quantile(df: float | None) -> float:
    """Of two-sided 95 %."""
    return float(quantiles(df)[1])


class Luck(NamedTuple):
    """Variance of accuracy between seeds: as seen (`between`), and less what the finite pairs explain."""

    between: float
    variance: float
    df: int


def estimate_luck(runs: Sequence[Runs], clusters: ArrayLike) -> Luck:
    """Pooled over the sizes with several seeds; nothing of none."""
    between, explained, df = 0.0, 0.0, 0
    for one in runs:
        n_seeds = len(one.right)
        if n_seeds < 2:
            continue
        apart = one.right - one.right.mean(axis=0)
        between += float(np.sum(apart.mean(axis=1) ** 2))
        found = [clustered_mean(row, clusters) for row in apart]
        explained += sum(mean.variance for mean in found if mean is not None)
        df += n_seeds - 1
    return Luck(between / df, (between - explained) / df, df) if df else Luck(0.0, 0.0, 0)
