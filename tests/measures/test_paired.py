"""The one interval of paired differences."""

import numpy as np
import pytest
from scipy import stats

from stages.measures.intervals import clustered_mean
from stages.measures.paired import paired_difference

# value, low, high, one-sided low, one-sided high, as the two functions gave them that this one replaced
# (CR1 variance, quantiles of t with clusters - 1; equal clusters).
FROZEN = [
    (0, 60, 60, (0.16666666666666666, -0.002551784707796434, 0.33588511804112975, 0.025347112362926916, 0.3079862209704064)),
    (1, 90, 12, (0.2777777777777778, 0.15257100782422583, 0.40298454773132975, 0.1727009440698828, 0.3828546114856728)),
    (2, 90, 90, (0.15555555555555556, 0.03232153052328145, 0.27878958058782966, 0.052467338713245645, 0.25864377239786546)),
    (5, 30, 3, (0.3333333333333333, -1.0, 1.0, -0.7013290830080898, 1.0)),
]  # fmt: skip


@pytest.mark.parametrize(("seed", "n", "n_clusters", "expected"), FROZEN)
def test_equal_clusters_give_the_numbers_they_always_gave(seed, n, n_clusters, expected) -> None:
    values = np.random.default_rng(seed).choice([-1, 0, 1], size=n, p=[0.1, 0.6, 0.3])
    clusters = np.arange(n) % n_clusters
    if n_clusters == 3:
        values = np.where(clusters == 0, 1, values)
    found = paired_difference(values, clusters)
    ends = (found.value, found.low, found.high, found.low_one_sided, found.high_one_sided)
    assert ends == pytest.approx(expected, abs=1e-12)
    assert (found.n, found.n_up, found.n_down) == (n, (values > 0).sum(), (values < 0).sum())


def test_one_cluster_shows_nothing() -> None:
    found = paired_difference([1, 0, -1, 1], ["a"] * 4)
    assert (found.value, found.low, found.high) == (0.25, -1, 1)
    with pytest.raises(ValueError, match="one cluster"):
        paired_difference([1.0, 3.0], ["a", "a"], is_bounded=False)


def test_uneven_clusters_widen_the_range_beyond_what_equal_ones_would() -> None:
    rng = np.random.default_rng(3)
    sizes = [100, 50, *[1] * 150]
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    values = np.sign(rng.normal(0.3, 1, len(sizes)))[clusters]
    found, mean = paired_difference(values, clusters), clustered_mean(values, clusters)
    assert mean is not None
    reach = stats.t.ppf(0.975, mean.df) * np.sqrt(mean.variance + 1 / 300**2)
    assert found.is_clustered
    assert found.high == pytest.approx(min(1, found.value + reach))
    assert mean.df < 7


def test_unbounded_differences_that_stand_alone_have_students_interval() -> None:
    values = [0.1, 3.0, -2.2, 0.4]
    found = paired_difference(values, list("abcd"), is_bounded=False)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert paired_difference([1.0, 1.0], list("ab"), is_bounded=False)[3:6] == (1, 1, 1)
