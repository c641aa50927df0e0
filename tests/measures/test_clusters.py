"""Effective sample size of clustered shares."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from stages.measures.intervals import clustered_wilson, effective_n, wilson_interval


def test_one_pair_a_cluster_is_the_plain_wilson_interval() -> None:
    values, clusters = [1, 1, 0, 1], ["a", "b", "c", "d"]
    assert effective_n(values, clusters) == 4
    assert clustered_wilson(values, clusters) == wilson_interval(3, 4)


def test_the_variance_is_statsmodels_cluster_covariance() -> None:
    rng = np.random.default_rng(0)
    clusters = rng.integers(0, 12, size=80)
    values = (rng.random(80) < 0.4 + 0.4 * (clusters % 2)).astype(float)
    fit = sm.OLS(values, np.ones(80)).fit()
    robust = fit.get_robustcov_results("cluster", groups=clusters, use_correction=False)
    variance = float(robust.cov_params()[0, 0]) * 12 / 11

    mean = values.mean()
    expected = mean * (1 - mean) / variance

    assert effective_n(values.tolist(), [str(c) for c in clusters]) == pytest.approx(expected)


def test_copies_of_a_pair_add_nothing() -> None:
    # 10 independent values, each three times: worth 9 (10 less the degree of freedom), not 30
    values = [float(number % 2) for number in range(10)] * 3
    clusters = [str(number) for number in range(10)] * 3
    assert effective_n(values, clusters) == pytest.approx(9)


def test_without_variation_the_number_of_clusters_counts() -> None:
    assert effective_n([1, 1, 1, 1], ["a", "a", "b", "b"]) == 2
    assert effective_n([1, 0, 1], ["a", "a", "a"]) == 1


def test_opposite_values_in_each_cluster_give_no_more_than_n() -> None:
    assert effective_n([1, 0, 1, 0, 1, 1], ["a", "a", "b", "b", "c", "c"]) <= 6


def test_few_clusters_widen_the_interval_by_student_t() -> None:
    values, clusters = [1.0, 1, 0, 0, 1, 0], ["a", "a", "b", "b", "c", "d"]
    shrink = (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 3)) ** 2
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
