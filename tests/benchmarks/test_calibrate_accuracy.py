"""The held-out interval against a known truth: the quick version of `make calibrate`."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import binomtest
from threadpoolctl import threadpool_limits

from benchmarks.calibrate_accuracy import (
    MARKS,
    SCENARIOS,
    UNEVEN,
    Scenario,
    bounds_of,
    calibrate,
    evenly,
    format_table,
    simulate_wins,
)
from benchmarks.calibrate_capability import replace_table
from stages.decision.data_facts import DataFacts
from stages.decision.evidence import AccuracyEvidence
from stages.decision.findings import ShareLimits
from stages.decision.judge import judge_accuracy
from stages.measures.intervals import clustered_wilson, effective_n

LIMITS = ShareLimits(Fraction(68, 100), Fraction(1, 2))
N_SETS = 400


def test_simulated_pairs_are_as_the_scenario_says() -> None:
    one = Scenario(evenly(90_000, 3), 0.68, 0.3)
    wins = simulate_wins(one, np.random.default_rng(1), n_sets=1).reshape(-1, 3)
    assert wins.mean() == pytest.approx(0.68, abs=0.01)
    likeness = np.corrcoef(wins[:, 0], wins[:, 1])[0, 1]
    assert likeness == pytest.approx(0.3, abs=0.03)  # standard error below 0.006


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(evenly(300, 1), 0.68, 0.0),
        Scenario(evenly(300, 3), 0.68, 0.3),
        Scenario(evenly(300, 3), 0.8, 0.6),
        Scenario((66, 42, 34, 16, *evenly(72, 8), *evenly(70, 2)), 0.68, 0.3),
        Scenario((100, 50, *evenly(150, 1)), 0.68, 0.1),
    ],
)
def test_the_interval_holds_the_truth_in_95_of_100_sets(scenario: Scenario) -> None:
    with threadpool_limits(1):
        found = calibrate(scenario, LIMITS, n_sets=N_SETS, seed=2)
    # 95 % within what 400 draws allow, at one in a thousand
    assert binomtest(round(found.holds * N_SETS), N_SETS, 0.95).pvalue > 0.001


def test_with_at_least_eight_effective_groups_it_holds_in_93_to_97_of_100_sets() -> None:
    rows = [one for one in UNEVEN if one.effective_groups >= 8]
    with threadpool_limits(1):
        found = [calibrate(one, LIMITS, n_sets=2000, seed=seed).holds for seed, one in enumerate(rows)]
    assert len(found) == 15
    assert all(0.93 - 0.01 <= holds <= 0.97 + 0.01 for holds in found), found  # a point for 2,000 draws


@pytest.mark.parametrize("scenario", [SCENARIOS[2], SCENARIOS[7], *UNEVEN[1::3]])
def test_all_sets_at_once_are_measured_and_judged_like_each_by_itself(scenario: Scenario) -> None:
    n_sets = 60
    wins = simulate_wins(scenario, np.random.default_rng(9), n_sets=n_sets)
    low, high = bounds_of(wins, scenario.sizes)
    groups = np.repeat(np.arange(len(scenario.sizes)), scenario.sizes)
    facts = DataFacts((), (), is_synthetic=False, split_sha256="", n_holdout=scenario.n, study_id=None)
    states: Counter[str] = Counter()
    for row, one_low, one_high in zip(wins, low, high, strict=True):
        assert clustered_wilson(row, groups) == pytest.approx((one_low, one_high), abs=1e-9)
        evidence = AccuracyEvidence(
            k=int(row.sum()),
            n=scenario.n,
            low=one_low,
            high=one_high,
            longer_wins=0.55,
            n_synthetic=0,
            split_sha256="",
        )
        states[judge_accuracy(evidence, facts, limits=LIMITS).state] += 1
    found = calibrate(scenario, LIMITS, n_sets=n_sets, seed=9).states
    assert {state: round(share * n_sets) for state, share in found.items()} == dict(states)


def test_a_set_in_which_no_group_differs_has_its_effective_groups() -> None:
    wins = np.ones((1, 10), dtype=bool)
    low, high = bounds_of(wins, (5, 3, 2))
    assert clustered_wilson(wins[0], [0] * 5 + [1] * 3 + [2] * 2) == pytest.approx((low[0], high[0]))


def test_wilson_without_groups_is_too_sure_of_grouped_pairs() -> None:
    found = calibrate(Scenario(evenly(300, 3), 0.68, 0.6), LIMITS, n_sets=N_SETS, seed=3)
    assert found.plain_holds < 0.9 < found.holds


def test_a_bad_model_seldom_passes_and_a_good_one_seldom_fails() -> None:
    bad = calibrate(Scenario(evenly(300, 3), 0.55, 0.3), LIMITS, n_sets=N_SETS, seed=4).states
    assert bad.get("pass", 0) + bad.get("confirmed", 0) < 0.01
    good = calibrate(Scenario(evenly(300, 3), 0.8, 0.3), LIMITS, n_sets=N_SETS, seed=5).states
    assert good.get("fail", 0) == 0
    edge = calibrate(Scenario(evenly(300, 3), 0.68, 0.3), LIMITS, n_sets=N_SETS, seed=6).states
    for state in ("fail", "confirmed"):  # either would be wrong: at most 2.5 % each, within 400 draws
        assert edge.get(state, 0) < 0.055


def test_the_effective_size_is_that_of_resampled_groups() -> None:
    # the definition, the slow way: draw whole groups with replacement
    one = Scenario(evenly(300, 3), 0.7, 0.5)
    groups = np.arange(one.n) // 3
    wins = simulate_wins(one, np.random.default_rng(7), n_sets=1)[0].astype(float)
    draws = np.random.default_rng(8)
    means = wins.reshape(-1, 3).mean(axis=1)
    resampled = np.array([means[draws.integers(0, 100, 100)].mean() for _ in range(4000)])
    p = wins.mean()
    slow = p * (1 - p) / (resampled.var() * 100 / 99)
    assert effective_n(wins, groups) == pytest.approx(slow, rel=0.08)


def test_the_table_replaces_the_one_before() -> None:
    found = calibrate(SCENARIOS[0], LIMITS, n_sets=5, seed=1)
    table = format_table([(SCENARIOS[0], found)])
    once = replace_table(f"Before.\n{MARKS[0]}{MARKS[1]}\nAfter.\n", table, marks=MARKS)
    assert replace_table(once, table, marks=MARKS) == once
    assert "| 300 | 300 x 1 | 300.0 | 0.0 | 55% |" in once


def test_uneven_layouts_have_three_hundred_pairs_and_fewer_effective_groups_than_groups() -> None:
    assert len({one.sizes for one in UNEVEN}) >= 6
    for one in UNEVEN:
        assert one.n == 300
        assert 1 < one.effective_groups < len(one.sizes)
    # 100, 50 and 150 times 1: 300^2 / (100^2 + 50^2 + 150)
    assert next(one for one in UNEVEN if one.sizes[:2] == (100, 50)).effective_groups == 90000 / 12650
