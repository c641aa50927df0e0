"""How many independent observations a sample of clustered ones is worth."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from stages.core.intervals import Interval, wilson_interval


def effective_n(values: Sequence[float], clusters: Sequence[str]) -> float:
    """Effective sample size of a mean of 0/1 values whose clusters are independent, at most len(values).

    p(1 - p) divided by the cluster-robust variance of the mean, G/(G-1) * sum over clusters of
    (sum of residuals)^2 / n^2 (Liang and Zeger 1986, the CR1 form). Where no value varies, or one
    cluster holds everything, the data cannot show the dependence: the number of clusters is taken.
    """
    x = np.asarray(values, dtype=float)
    n, mean = len(x), float(np.mean(x))
    _, membership = np.unique(np.asarray(clusters), return_inverse=True)
    n_clusters = int(membership.max()) + 1
    if n_clusters == n:
        return float(n)
    residuals = np.bincount(membership, weights=x - mean)
    variance = float(np.sum(residuals**2)) / n**2
    if n_clusters == 1 or variance == 0:
        return float(n_clusters)
    variance *= n_clusters / (n_clusters - 1)
    return min(mean * (1 - mean) / variance, float(n))


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
