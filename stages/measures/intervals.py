"""Intervals for shares."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from statsmodels.stats.proportion import proportion_confint


class Interval(NamedTuple):
    """Both ends as shares in [0, 1]."""

    low: float
    high: float


def wilson_interval(successes: float, n: float, *, confidence: float = 0.95) -> Interval:
    """Wilson's score interval (1927); `successes` and `n` may be effective, not whole, numbers.

    Raises ValueError where nothing was counted: a rate over nothing is no rate.
    """
    if n <= 0:
        raise ValueError("an interval needs at least one observation")
    low, high = proportion_confint(successes, n, alpha=1 - confidence, method="wilson")
    return Interval(float(low), float(high))


def clustered_variance(values: ArrayLike, clusters: ArrayLike) -> float:
    """Variance of the mean where values of a cluster move together; 0 of one cluster, which shows none.

    G/(G-1) * sum over clusters of (sum of residuals)^2 / n^2 (Liang and Zeger 1986, the CR1 form).
    """
    x = np.asarray(values, dtype=float)
    _, membership = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.bincount(membership, weights=x - np.mean(x))
    n_clusters = len(sums)
    return float(np.sum(sums**2)) / len(x) ** 2 * n_clusters / (n_clusters - 1) if n_clusters > 1 else 0.0


def effective_n(values: Sequence[float], clusters: Sequence[str]) -> float:
    """Effective sample size of a mean of 0/1 values whose clusters are independent, at most len(values).

    p(1 - p) divided by `clustered_variance`. Where no value varies, or one cluster holds everything,
    the data cannot show the dependence: the number of clusters is taken.
    """
    n_clusters, mean = len(set(clusters)), float(np.mean(values))
    if n_clusters == len(values):
        return float(n_clusters)
    variance = clustered_variance(values, clusters)
    return min(mean * (1 - mean) / variance, float(len(values))) if variance else float(n_clusters)


def clustered_wilson(
    values: Sequence[float], clusters: Sequence[str], *, confidence: float = 0.95
) -> Interval:
    """Wilson's interval at the effective sample size, widened for having few clusters.

    With G clusters the size is multiplied by (z / t with G - 1 degrees of freedom)^2, as Korn and
    Graubard (1998) do for surveys. One pair per cluster gives the plain Wilson interval.
    """
    n_clusters = len(set(clusters))
    n = effective_n(values, clusters)
    if n_clusters < len(values):
        tail = 1 - (1 - confidence) / 2
        shrink = (stats.norm.ppf(tail) / stats.t.ppf(tail, max(n_clusters - 1, 1))) ** 2
        n = n * float(shrink)
    return wilson_interval(float(np.mean(values)) * n, n, confidence=confidence)
