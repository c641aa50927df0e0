"""The one interval of paired differences: held-out pairs, questions, probe texts, two variants."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from stages.measures.intervals import clustered_variance

ONE_SIDED, TWO_SIDED = 0.95, 0.975


class PairedDifference(NamedTuple):
    """The mean of `n` differences; `low` and `high` are two-sided 95 %, the others one-sided 95 % each."""

    n: int
    n_up: int  # differences above zero
    n_down: int
    value: float
    low: float
    high: float
    low_one_sided: float
    high_one_sided: float
    is_clustered: bool

    @property
    def p_mcnemar(self) -> float:
        """McNemar's exact test (1947): would `n_up` and `n_down` differ so much, were each a coin toss?"""
        return float(mcnemar([[0, self.n_up], [self.n_down, 0]], exact=True).pvalue)


def paired_difference(values: ArrayLike, clusters: ArrayLike, *, is_bounded: bool = True) -> PairedDifference:
    """Mean of one difference a pair; clusters are independent, pairs of one may move together.

    Its variance is the larger of two: pairs independent, with normal quantiles, and pairs of a cluster
    together, with Student's t. One cluster shows nothing, and pairs count as independent. Differences in
    [-1, 1] get one more discordant pair, half of it either way (1 / n^2), so that agreement on a finite
    number of pairs never reads as certainty; others (`is_bounded` false) do not. ValueError without pairs.
    """
    x = np.asarray(values, dtype=float)
    n = len(x)
    if n == 0:
        raise ValueError("a difference needs at least one pair")
    mean = float(np.mean(x))
    independent = float(np.sum(x**2) - n * mean**2) / n**2
    clustered = clustered_variance(x, clusters)
    is_clustered = clustered > independent
    error = float(np.sqrt(max(independent, clustered) + is_bounded / n**2))
    levels = [ONE_SIDED, TWO_SIDED]
    quantiles = stats.t.ppf(levels, len(np.unique(clusters)) - 1) if is_clustered else stats.norm.ppf(levels)
    one_sided, two_sided = quantiles * error
    ends = np.array([mean - two_sided, mean + two_sided, mean - one_sided, mean + one_sided])
    low, high, low_one_sided, high_one_sided = (np.clip(ends, -1, 1) if is_bounded else ends).tolist()
    return PairedDifference(
        n=n,
        n_up=int(np.sum(x > 0)),
        n_down=int(np.sum(x < 0)),
        value=mean,
        low=low,
        high=high,
        low_one_sided=low_one_sided,
        high_one_sided=high_one_sided,
        is_clustered=is_clustered,
    )
