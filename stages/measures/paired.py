"""The one interval of paired differences: held-out pairs, questions, probe texts, two variants."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stages.measures.intervals import clustered_mean

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
        from statsmodels.stats.contingency_tables import mcnemar  # loaded where needed, see `intervals`

        return float(mcnemar([[0, self.n_up], [self.n_down, 0]], exact=True).pvalue)


class Spread(NamedTuple):
    """How far a mean of differences can be trusted; without `df` it is about normal."""

    variance: float
    df: float | None

    @property
    def is_clustered(self) -> bool:
        """Is it the variance of clusters, with Student's t?"""
        return self.df is not None


def spread_of_mean(values: ArrayLike, clusters: ArrayLike | None, *, is_bounded: bool) -> Spread | None:
    """The larger of two variances, as `paired_difference` says; None where nearly all are of one cluster."""
    x = np.asarray(values, dtype=float)
    n = len(x)
    independent = float(np.var(x)) / n
    clustered = None if clusters is None else clustered_mean(x, clusters)
    if clustered is None and clusters is not None and n > 1:
        return None
    more = is_bounded / n**2
    if clustered is not None and clustered.variance > independent:
        return Spread(clustered.variance + more, clustered.df)
    return Spread(independent + more, None)


def paired_difference(
    values: ArrayLike, clusters: ArrayLike | None, *, is_bounded: bool = True
) -> PairedDifference:
    """Mean of one difference a pair; clusters are independent, pairs of one may move together.

    Its variance is the larger of two: pairs independent, with normal quantiles, and that of `clustered_mean`,
    with Student's t. Differences in [-1, 1] get one more discordant pair, half of it either way (1 / n^2), so
    that agreement on a finite number of pairs never reads as certainty; others (`is_bounded` false) do not.
    `clusters` is None where pairs are independent for sure. One cluster of (nearly) all pairs shows nothing:
    the ends are -1 and 1. ValueError without pairs, and where nothing bounds such differences.
    """
    x = np.asarray(values, dtype=float)
    n = len(x)
    if n == 0:
        raise ValueError("a difference needs at least one pair")
    mean = float(np.mean(x))
    spread = spread_of_mean(x, clusters, is_bounded=is_bounded)
    if spread is None and not is_bounded:
        raise ValueError("differences of one cluster that nothing bounds have no interval")
    reach = np.array([2.0, 2.0]) if spread is None else quantiles(spread.df) * np.sqrt(spread.variance)
    one_sided, two_sided = reach
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
        is_clustered=spread is not None and spread.is_clustered,
    )


def quantiles(df: float | None) -> NDArray[np.float64]:
    """Of one-sided and of two-sided 95 %, Student's or without `df` the normal ones."""
    from scipy import stats  # loaded where needed, see `intervals`

    levels = [ONE_SIDED, TWO_SIDED]
    found: NDArray[np.float64] = stats.norm.ppf(levels) if df is None else stats.t.ppf(levels, df)
    return found
