"""Intervals for shares.

What computes one loads SciPy and statsmodels, two seconds of start-up that a command which only names an
`Interval` does not wait for.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

ROUNDING = 1e-28  # below it a variance of 0, 1/2 and 1 over up to a million pairs is zero
# The estimated likeness is large where the variance happens to be: all of it would count that luck twice,
# none of it would trust large groups too much (docs/decisions/0015-few-uneven-groups.md: coverage of each).
SHARE_OF_LIKENESS = 1 / 3
# With fewer effective clusters one of them holds nearly everything, and its own luck is hardly seen: an
# interval held in 69 to 92 % of simulated sets where there were 1.0 to 1.2, in 93 to 98 % from 1.4 on.
MIN_CLUSTERS = 1.5


class Interval(NamedTuple):
    """Both ends as shares in [0, 1]."""

    low: float
    high: float


def wilson_interval(successes: float, n: float, *, confidence: float = 0.95) -> Interval:
    """Wilson's score interval (1927); `successes` and `n` may be effective, not whole, numbers.

    Raises ValueError where nothing was counted: a rate over nothing is no rate.
    """
    from statsmodels.stats.proportion import proportion_confint

    if n <= 0:
        raise ValueError("an interval needs at least one observation")
    low, high = proportion_confint(successes, n, alpha=1 - confidence, method="wilson")
    # exact where nothing, or everything, was a success: rounding must not leave 1e-16 beside a bound of 0
    return Interval(0.0 if successes == 0 else float(low), 1.0 if successes == n else float(high))


class ClusteredMean(NamedTuple):
    """How far a mean over clusters can be trusted."""

    variance: float
    df: float  # degrees of freedom of the variance
    n_clusters: float  # effective: 1 / sum of squared shares of the values, as many where all are equal
    likeness: float  # estimated correlation of two values of a cluster, in [0, 1]


def clustered_mean(values: ArrayLike, clusters: ArrayLike) -> ClusteredMean | None:
    """Variance of the mean where values of a cluster move together; None where they are nearly all of one.

    CR2 (Bell and McCaffrey 2002) for a mean: with f_g a cluster's share of the n values and r_g its sum of
    residuals, V = sum r_g^2 / (1 - f_g) / n^2; with equal clusters it is CR1. The likeness is what V shows
    beyond the variance of independent values. `values` and `clusters` have one entry a pair.
    """
    x = np.asarray(values, dtype=float)
    n = len(x)
    _, membership = np.unique(np.asarray(clusters), return_inverse=True)
    sizes = np.bincount(membership)
    n_clusters = effective_clusters(membership)
    if n_clusters < MIN_CLUSTERS:
        return None
    sums = np.bincount(membership, weights=x - np.mean(x))
    variance = float(np.sum(sums**2 / (1 - sizes / n))) / n**2
    likeness = estimate_likeness(variance, float(np.var(x)), sizes)
    df = float(estimated_degrees_of_freedom(sizes, likeness))
    return ClusteredMean(variance, df, n_clusters, float(likeness))


def effective_clusters(clusters: ArrayLike) -> float:
    """1 / sum of squared shares: as many as there are where all are equal, about 1 where one has most."""
    _, sizes = np.unique(np.asarray(clusters), return_counts=True)
    return float(sizes.sum() ** 2 / np.sum(sizes.astype(float) ** 2))


def estimate_likeness(variance: ArrayLike, spread: ArrayLike, sizes: ArrayLike) -> NDArray[np.float64]:
    """Correlation within clusters of `sizes` that turns the values' `spread` into the mean's `variance`."""
    counts = np.asarray(sizes, dtype=float)
    n, alone = counts.sum(), np.asarray(spread, dtype=float) / counts.sum()
    more = np.sum(counts**2) / n - 1
    if more == 0:
        return np.zeros_like(alone)
    inflation = np.divide(variance, alone, out=np.ones_like(alone), where=alone > 0)
    found: NDArray[np.float64] = np.clip((inflation - 1) / more, 0, 1)
    return found


def estimated_degrees_of_freedom(sizes: ArrayLike, likeness: ArrayLike) -> NDArray[np.float64]:
    """`degrees_of_freedom` where `likeness` is what `estimate_likeness` found: a share of it is put in."""
    return degrees_of_freedom(sizes, SHARE_OF_LIKENESS * np.asarray(likeness, dtype=float))


def degrees_of_freedom(sizes: ArrayLike, likeness: ArrayLike) -> NDArray[np.float64]:
    """Of the CR2 variance of a mean, were two values of a cluster correlated by `likeness` (any shape).

    Satterthwaite's (sum of eigenvalues)^2 / sum of their squares, in closed form. Without likeness it is Bell
    and McCaffrey's 1 / (sum f^2 + (sum S)^2 - sum S^2), S = f^2 / (1 - f); Imbens and Kolesar (2016) put an
    estimate in, because a large cluster of like values outweighs the others. G equal clusters have G - 1.
    """
    s = np.asarray(sizes, dtype=float)
    f = s / s.sum()
    spread = s * (1 + (s - 1) * np.asarray(likeness, dtype=float)[..., None])  # variance of a cluster's sum
    total = spread.sum(axis=-1)
    weight = 1 / (1 - f)
    ff, fv, vv = (weight * f**2).sum(), (weight * f * spread).sum(axis=-1), (weight * spread**2).sum(axis=-1)
    shared = f**2 * total[..., None] - 2 * f * spread
    trace = (weight * (spread + shared)).sum(axis=-1)
    squares = (weight**2 * spread * (spread + 2 * shared)).sum(axis=-1)
    squares += 2 * vv * ff + 2 * fv**2 + (total * ff) ** 2 - 4 * total * fv * ff
    found: NDArray[np.float64] = trace**2 / squares
    return found


def effective_n(values: ArrayLike, clusters: ArrayLike) -> float | None:
    """How many independent values the mean of values in [0, 1] rests on, at most as many as there are.

    p(1 - p) divided by the variance of `clustered_mean`, or the effective number of clusters where no
    cluster differs from another. None where nearly all are of one cluster, unless that has one value.
    """
    x = np.asarray(values, dtype=float)
    if len(np.unique(np.asarray(clusters))) == len(x):
        return float(len(x))
    found = clustered_mean(x, clusters)
    return None if found is None else min(_worth(x, found), len(x))


def clustered_wilson(values: ArrayLike, clusters: ArrayLike, *, confidence: float = 0.95) -> Interval | None:
    """Wilson's interval at the effective sample size, widened for few clusters; None of nearly one alone.

    The size is multiplied by (z / t)^2, t with the degrees of freedom of `clustered_mean`, as Korn and
    Graubard (1998) do for surveys. It is not cut at the number of values: that would keep only the luck that
    widens, and hold too often. One value a cluster gives the plain Wilson interval.
    """
    from scipy import stats

    x = np.asarray(values, dtype=float)
    n = float(len(x))
    if len(np.unique(np.asarray(clusters))) < n:
        found = clustered_mean(x, clusters)
        if found is None:
            return None
        tail = (1 + confidence) / 2
        n = _worth(x, found) * float(stats.norm.ppf(tail) / stats.t.ppf(tail, found.df)) ** 2
    return wilson_interval(float(np.mean(x)) * n, n, confidence=confidence)


def _worth(x: NDArray[np.float64], found: ClusteredMean) -> float:
    """Independent values that would show the variance `found`; flat clusters count as one value each."""
    mean = float(np.mean(x))
    return found.n_clusters if found.variance < ROUNDING else mean * (1 - mean) / found.variance
