"""Effective sample size of clustered shares."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from stages.measures.intervals import (
    clustered_mean,
    clustered_wilson,
    degrees_of_freedom,
    effective_n,
    wilson_interval,
)


def test_one_pair_a_cluster_is_the_plain_wilson_interval() -> None:
    values, clusters = [1, 1, 0, 1], ["a", "b", "c", "d"]
    assert effective_n(values, clusters) == 4
    assert clustered_wilson(values, clusters) == wilson_interval(3, 4)


LAYOUTS = [
    [100, 50, *[1] * 150],
    [66, 42, 34, 16, 12, 11, 10, 9, 8, *[1] * 20],
    [60, 30, 20, *[2] * 40],
    [3] * 20,
    [1] * 30,
    [5, 2],
    [7, 6, 2, 1],
]


def cr2_by_matrices(y: np.ndarray, groups: np.ndarray, likeness: float) -> tuple[float, float]:
    """CR2 and its degrees of freedom as they are for any regression, two values of a group so alike."""
    n = len(y)
    design = np.ones((n, 1))
    annihilator = np.eye(n) - design @ design.T / n
    residuals = annihilator @ y
    variance, columns = 0.0, []
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        values, vectors = np.linalg.eigh(annihilator[np.ix_(rows, rows)])
        adjusted = vectors @ np.diag(values**-0.5) @ vectors.T @ design[rows] / n  # times (X'X)^-1
        variance += float((adjusted.T @ residuals[rows]).item()) ** 2
        columns.append(annihilator[:, rows] @ adjusted)
    across = np.hstack(columns)
    covariance = np.where(groups[:, None] == groups, likeness, 0.0) + (1 - likeness) * np.eye(n)
    eigenvalues = np.linalg.eigvalsh(across.T @ covariance @ across)
    return variance, float(eigenvalues.sum() ** 2 / (eigenvalues**2).sum())


@pytest.mark.parametrize("sizes", LAYOUTS)
def test_variance_and_degrees_of_freedom_are_those_of_the_matrices(sizes: list[int]) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    rates = np.random.default_rng(1).random(len(sizes))
    values = (np.random.default_rng(2).random(len(groups)) < rates[groups]).astype(float)
    found = clustered_mean(values, groups)
    assert found is not None
    variance, df = cr2_by_matrices(values, groups, found.likeness / 3)
    assert (found.variance, found.df) == pytest.approx((variance, df), rel=1e-9)
    for likeness in (0.0, 0.3, 1.0):
        expected = cr2_by_matrices(values, groups, likeness)[1]
        assert degrees_of_freedom(sizes, likeness) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("sizes", LAYOUTS)
def test_without_likeness_the_degrees_of_freedom_are_bell_and_mccaffreys(sizes: list[int]) -> None:
    f = np.array(sizes) / sum(sizes)
    s = f**2 / (1 - f)
    closed = 1 / (np.sum(f**2) + np.sum(s) ** 2 - np.sum(s**2))
    assert degrees_of_freedom(sizes, 0.0) == pytest.approx(closed, rel=1e-12)


def test_equal_clusters_have_one_degree_of_freedom_less_than_there_are_however_alike() -> None:
    assert degrees_of_freedom([4] * 9, [0.0, 0.4, 1.0]) == pytest.approx([8, 8, 8])


def test_likeness_is_the_correlation_that_was_put_in() -> None:
    rng = np.random.default_rng(2)
    rates = rng.beta(0.68 * 7 / 3, 0.32 * 7 / 3, size=20_000)  # two values of a cluster correlate by 0.3
    clusters = np.repeat(np.arange(20_000), 4)
    found = clustered_mean(rng.random(80_000) < rates[clusters], clusters)
    assert found is not None
    assert found.likeness == pytest.approx(0.3, abs=0.02)


def test_equal_clusters_have_statsmodels_cluster_covariance_and_one_degree_of_freedom_less() -> None:
    rng = np.random.default_rng(0)
    clusters = np.arange(84) % 12
    values = (rng.random(84) < 0.4 + 0.4 * (clusters % 2)).astype(float)
    fit = sm.OLS(values, np.ones(84)).fit()
    robust = fit.get_robustcov_results("cluster", groups=clusters, use_correction=False)
    variance = float(robust.cov_params()[0, 0]) * 12 / 11
    found = clustered_mean(values, clusters)
    assert found is not None
    assert found[:3] == pytest.approx((variance, 11, 12))
    mean = values.mean()
    assert effective_n(values, clusters) == pytest.approx(mean * (1 - mean) / variance)


def test_copies_of_a_pair_add_nothing() -> None:
    # 10 independent values, each three times: worth 9 (10 less the degree of freedom), not 30
    values = [float(number % 2) for number in range(10)] * 3
    clusters = [str(number) for number in range(10)] * 3
    assert effective_n(values, clusters) == pytest.approx(9)


def test_without_variation_the_effective_number_of_clusters_counts() -> None:
    assert effective_n([1, 1, 1, 1], ["a", "a", "b", "b"]) == 2
    # shares 3/4 and 1/4: 1 / (9/16 + 1/16); the means of both are the mean of all
    assert effective_n([1, 1, 1, 1], ["a", "a", "a", "b"]) == pytest.approx(1.6)
    thirds = [1, 1, 0, 1, 1, 0, 1, 1, 0]  # 2/3 in each: rounding must not read as a tiny variance
    assert effective_n(thirds, [*"aaabbbccc"]) == pytest.approx(3)


def test_one_cluster_has_no_interval_unless_it_is_one_pair() -> None:
    assert effective_n([1, 0, 1], ["a", "a", "a"]) is None
    assert clustered_wilson([1, 0, 1], ["a", "a", "a"]) is None
    assert clustered_mean([1, 0], ["a", "a"]) is None
    assert clustered_wilson([1], ["a"]) == wilson_interval(1, 1)


def test_opposite_values_in_each_cluster_give_no_more_than_n() -> None:
    values, clusters = [1, 0, 1, 0, 1, 1], ["a", "a", "b", "b", "c", "c"]
    assert effective_n(values, clusters) <= 6
    # the interval is not cut there: a cut keeps only the luck that widens
    opposite = [float(number % 2) for number in range(400)]
    opposite[0] = 1.0
    pairs = np.arange(400) // 2
    low, high = clustered_wilson(opposite, pairs)
    plain = wilson_interval(201, 400)
    assert effective_n(opposite, pairs) == 400
    assert high - low < plain.high - plain.low


def test_few_clusters_widen_the_interval_by_student_t() -> None:
    values, clusters = [1.0, 1, 0, 0, 1, 0], ["a", "a", "b", "b", "c", "d"]
    found = clustered_mean(values, clusters)
    assert found is not None
    shrink = (stats.norm.ppf(0.975) / stats.t.ppf(0.975, found.df)) ** 2
    n = effective_n(values, clusters) * shrink
    assert clustered_wilson(values, clusters) == pytest.approx(wilson_interval(0.5 * n, n))


def test_the_interval_covers_a_clustered_truth_where_the_plain_one_does_not() -> None:
    rng = np.random.default_rng(7)
    covered = {"clustered": 0, "plain": 0}
    for _ in range(400):
        rates = rng.beta(2, 1, size=100)  # mean 2/3; three pairs of each cluster share its rate
        values = (rng.random((100, 3)) < rates[:, None]).astype(float).ravel()
        clusters = np.repeat(np.arange(100), 3).astype(str)
        low, high = clustered_wilson(values.tolist(), clusters.tolist())
        covered["clustered"] += low <= 2 / 3 <= high
        low, high = wilson_interval(values.sum(), 300)
        covered["plain"] += low <= 2 / 3 <= high
    assert 0.93 <= covered["clustered"] / 400 <= 0.975  # 95 % give or take 1.1 %
    assert covered["plain"] / 400 < covered["clustered"] / 400 - 0.02


@pytest.mark.parametrize(
    ("sizes", "has_interval"), [([299, 1], False), ([270, 30], False), ([200, 50, 50], True)]
)
def test_one_group_with_nearly_everything_leaves_no_interval(sizes: list[int], has_interval: bool) -> None:
    # 1 / (0.9^2 + 0.1^2) = 1.22 effective groups, and 1 / (0.667^2 + 2 x 0.167^2) = 2
    groups = np.repeat(np.arange(len(sizes)), sizes)
    values = np.arange(len(groups)) % 10 > 0
    assert (clustered_wilson(values, groups) is not None) is has_interval
    assert (effective_n(values, groups) is not None) is has_interval
