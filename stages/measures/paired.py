"""Paired differences with their intervals."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.stats import norm, t
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.contingency_tables import mcnemar

from stages.measures.intervals import CONFIDENCE, _clustered_variance


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


def compare_outcomes(first: Mapping[str, Outcome], second: Mapping[str, Outcome]) -> PairedDifference:
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


class Difference(NamedTuple):
    """A mean of paired differences with its two-sided 95 % interval."""

    value: float
    low: float
    high: float


def paired_difference(values: Sequence[float], clusters: Sequence[str]) -> Difference:
    """Mean of differences in [-1, 1], one a pair; clusters are independent, pairs of one may not be.

    The interval is that of `measures/capability.py`, two-sided: the larger of the independent and the
    CR1 variance, one more discordant pair in each (half of it either way), normal or Student's t.
    """
    x = np.asarray(values, dtype=float)
    n, mean = len(x), float(np.mean(x))
    _, membership = np.unique(np.asarray(clusters), return_inverse=True)
    independent = float(np.sum(x**2) - n * mean**2) / n**2
    clustered = _clustered_variance(x, membership)
    tail = (1 + CONFIDENCE) / 2
    quantile = stats.norm.ppf(tail)
    if clustered > independent:
        quantile = stats.t.ppf(tail, int(membership.max()))
    reach = float(quantile * np.sqrt(max(independent, clustered) + 1 / n**2))
    return Difference(mean, max(-1.0, mean - reach), min(1.0, mean + reach))


ONE_SIDED = 0.95


TWO_SIDED = 0.975


class Drop(NamedTuple):
    """A drop with its bounds, as shares of questions: one-sided 95 %, and the two-sided upper."""

    drop: float
    low: float
    high: float
    high_two_sided: float
    is_clustered: bool


def measure_drop(worse: NDArray[np.int_], clusters: NDArray[np.int_]) -> Drop:
    """The drop and its bounds from one number a question (1, 0, -1) and its subject's number.

    With one subject there is nothing to cluster by, and questions count as independent.
    """
    n = len(worse)
    if n == 0:
        raise ValueError("a drop needs at least one question")
    drop = float(worse.mean())
    independent = (float(np.abs(worse).sum()) - n * drop**2) / n**2
    n_clusters = len(np.unique(clusters))
    clustered = _cr1_variance(worse, clusters) if n_clusters > 1 else 0.0
    is_clustered = clustered > independent
    error = float(np.sqrt(max(independent, clustered) + 1 / n**2))
    one_sided, two_sided = (
        float(t.ppf(level, n_clusters - 1) if is_clustered else norm.ppf(level))
        for level in (ONE_SIDED, TWO_SIDED)
    )
    return Drop(
        drop=drop,
        low=max(-1.0, drop - one_sided * error),
        high=min(1.0, drop + one_sided * error),
        high_two_sided=min(1.0, drop + two_sided * error),
        is_clustered=is_clustered,
    )


def _cr1_variance(worse: NDArray[np.int_], clusters: NDArray[np.int_]) -> float:
    """Variance of the mean when questions of a cluster move together."""
    model = OLS(worse.astype(float), np.ones(len(worse)))
    return float(model.fit(cov_type="cluster", cov_kwds={"groups": clusters}).cov_params()[0, 0])
