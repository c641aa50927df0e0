"""The held-out interval against a known truth: the quick version of `make calibrate`."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import binomtest
from threadpoolctl import threadpool_limits

from benchmarks.calibrate_accuracy import MARKS, SCENARIOS, Scenario, calibrate, format_table, simulate_wins
from benchmarks.calibrate_capability import replace_table
from stages.decision.findings import ShareLimits
from stages.measures.intervals import effective_n

LIMITS = ShareLimits(Fraction(68, 100), Fraction(1, 2))
N_SETS = 400


def test_simulated_pairs_are_as_the_scenario_says() -> None:
    one = Scenario(90_000, 3, 0.68, 0.3)
    wins = simulate_wins(one, np.arange(one.n) // 3, np.random.default_rng(1)).reshape(-1, 3)
    assert wins.mean() == pytest.approx(0.68, abs=0.01)
    likeness = np.corrcoef(wins[:, 0], wins[:, 1])[0, 1]
    assert likeness == pytest.approx(0.3, abs=0.03)  # standard error below 0.006


@pytest.mark.parametrize(
    "scenario", [Scenario(300, 1, 0.68, 0.0), Scenario(300, 3, 0.68, 0.3), Scenario(300, 3, 0.8, 0.6)]
)
def test_the_interval_holds_the_truth_in_95_of_100_sets(scenario: Scenario) -> None:
    with threadpool_limits(1):
        found = calibrate(scenario, LIMITS, n_sets=N_SETS, seed=2)
    # 95 % within what 400 draws allow, at one in a thousand
    assert binomtest(round(found.holds * N_SETS), N_SETS, 0.95).pvalue > 0.001


def test_wilson_without_groups_is_too_sure_of_grouped_pairs() -> None:
    found = calibrate(Scenario(300, 3, 0.68, 0.6), LIMITS, n_sets=N_SETS, seed=3)
    assert found.plain_holds < 0.9 < found.holds


def test_a_bad_model_seldom_passes_and_a_good_one_seldom_fails() -> None:
    bad = calibrate(Scenario(300, 3, 0.55, 0.3), LIMITS, n_sets=N_SETS, seed=4).states
    assert bad.get("pass", 0) + bad.get("confirmed", 0) < 0.01
    good = calibrate(Scenario(300, 3, 0.8, 0.3), LIMITS, n_sets=N_SETS, seed=5).states
    assert good.get("fail", 0) == 0
    edge = calibrate(Scenario(300, 3, 0.68, 0.3), LIMITS, n_sets=N_SETS, seed=6).states
    for state in ("fail", "confirmed"):  # either would be wrong: at most 2.5 % each, within 400 draws
        assert edge.get(state, 0) < 0.055


def test_the_effective_size_is_that_of_resampled_groups() -> None:
    # the definition, the slow way: draw whole groups with replacement
    one = Scenario(300, 3, 0.7, 0.5)
    groups = np.arange(one.n) // 3
    wins = simulate_wins(one, groups, np.random.default_rng(7)).astype(float)
    draws = np.random.default_rng(8)
    means = wins.reshape(-1, 3).mean(axis=1)
    resampled = np.array([means[draws.integers(0, 100, 100)].mean() for _ in range(4000)])
    p = wins.mean()
    slow = p * (1 - p) / (resampled.var() * 100 / 99)
    assert effective_n(wins.tolist(), [str(group) for group in groups]) == pytest.approx(slow, rel=0.08)


def test_the_table_replaces_the_one_before() -> None:
    found = calibrate(SCENARIOS[0], LIMITS, n_sets=5, seed=1)
    table = format_table([(SCENARIOS[0], found)])
    once = replace_table(f"Before.\n{MARKS[0]}{MARKS[1]}\nAfter.\n", table, marks=MARKS)
    assert replace_table(once, table, marks=MARKS) == once
    assert "| 300 | 1 | 0.0 | 55% |" in once
