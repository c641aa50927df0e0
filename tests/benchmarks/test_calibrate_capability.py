from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from benchmarks.calibrate_capability import (
    FACTS,
    SCENARIOS,
    SUBJECT_SIZES,
    TABLE_END,
    TABLE_START,
    Scenario,
    bounds_of,
    calibrate,
    format_table,
    replace_table,
    simulate_answers,
    spread_over_subjects,
)
from stages.decision.evidence import CapabilityEvidence
from stages.decision.findings import DropLimits
from stages.decision.judge import judge_capability
from stages.measures.capability import lower_bound
from stages.measures.paired import paired_difference

LIMITS = DropLimits(Fraction(2, 100), Fraction(1, 100), Fraction(1, 4), min_questions=1531)


def test_the_full_set_has_the_subjects_sizes() -> None:
    assert sum(SUBJECT_SIZES) == 14042
    assert spread_over_subjects(14042).tolist() == SUBJECT_SIZES
    assert (spread_over_subjects(114) > 0).all()


@pytest.mark.parametrize(
    "scenario", [Scenario(400_000, 0.6, 0.03, 0.1, 0.0), Scenario(400_000, 0.25, 0.0, 0.3, 0.0)]
)
def test_simulated_models_are_as_the_scenario_says(scenario: Scenario) -> None:
    sizes = spread_over_subjects(scenario.n)
    counts = simulate_answers(scenario, sizes, np.random.default_rng(1), n_models=1)
    worse, better, both_right = (count.sum() / scenario.n for count in counts)
    # the standard error of a share of 400,000 is below 0.0008
    assert worse + both_right == pytest.approx(scenario.base_acc, abs=0.003)
    assert worse - better == pytest.approx(scenario.drop, abs=0.003)
    assert worse + better == pytest.approx(scenario.discordance, abs=0.003)


@pytest.mark.parametrize(
    "scenario", [Scenario(1531, 0.6, 0.02, 0.1, 0.02), Scenario(14042, 0.3, 0.0, 0.1, 0.0)]
)
def test_all_models_at_once_are_measured_and_judged_like_each_by_itself(scenario: Scenario) -> None:
    n_models, sizes = 40, spread_over_subjects(scenario.n)
    limits = LIMITS._replace(min_questions=scenario.n)
    counts = simulate_answers(scenario, sizes, np.random.default_rng(3), n_models=n_models)
    bounds = bounds_of(counts, sizes)
    states: Counter[str] = Counter()
    for number in range(n_models):
        values = np.zeros(scenario.n)
        for start, worse, better in zip(
            np.cumsum([0, *sizes[:-1]]), counts.worse[number], counts.better[number], strict=True
        ):
            values[start : start + worse] = 1
            values[start + worse : start + worse + better] = -1
        found = paired_difference(values, np.repeat(np.arange(len(sizes)), sizes))
        assert (found.low_one_sided, found.high_one_sided, found.high) == pytest.approx(
            tuple(end[number] for end in bounds), abs=1e-9
        )
        n_base_correct = int(counts.worse[number].sum() + counts.both_right[number].sum())
        evidence = CapabilityEvidence(
            same_questions=True,
            n=scenario.n,
            drop=found.value,
            low=found.low_one_sided,
            high=found.high_one_sided,
            high_two_sided=found.high,
            n_base_correct=n_base_correct,
            n_policy_correct=n_base_correct - found.n_up + found.n_down,
            n_discordant_worse=found.n_up,
            n_discordant_better=found.n_down,
            base_acc_low=lower_bound(n_base_correct, scenario.n),
            at_floor=False,
        )
        states[judge_capability(evidence, FACTS, limits=limits).state] += 1
    told = calibrate(scenario, limits, n_models=n_models, seed=3).states
    assert {state: round(share * n_models) for state, share in told.items()} == dict(states)


def test_every_scenario_is_possible() -> None:
    for one in SCENARIOS:
        assert abs(one.drop) <= one.discordance
        assert (one.discordance + one.drop) / 2 <= one.base_acc <= 1 - (one.discordance - one.drop) / 2


def test_a_large_drop_fails_and_a_base_that_guesses_never_passes() -> None:
    fallen = calibrate(Scenario(1531, 0.6, 0.1, 0.2, 0.0), LIMITS, n_models=20, seed=1)
    assert fallen.states == {"fail": 1.0}
    guessing = calibrate(Scenario(1531, 0.25, 0.0, 0.02, 0.0), LIMITS, n_models=20, seed=1)
    assert guessing.states == {"inconclusive": 1.0}


@pytest.mark.parametrize(
    ("drop", "wrong"), [(0.02, {"pass", "confirmed"}), (0.02, {"fail"}), (0.01, {"confirmed"})]
)
def test_a_model_on_a_line_is_seldom_put_on_the_wrong_side(drop: float, wrong: set[str]) -> None:
    limits = LIMITS._replace(min_questions=14042)
    with threadpool_limits(1):
        found = calibrate(Scenario(14042, 0.6, drop, 0.06, 0.0), limits, n_models=300, seed=8)
    # at most 5 % (2.5 % for `confirmed`) are wrong; 300 draws may show 10 % once in a thousand times
    assert sum(found.states.get(state, 0) for state in wrong) < 0.1


def test_each_bound_holds_at_1531_questions_and_little_discordance() -> None:
    with threadpool_limits(1):
        found = calibrate(Scenario(1531, 0.6, 0.0, 0.02, 0.0), LIMITS, n_models=300, seed=9)
    # 94 to 96 % is the aim; 300 draws leave 1.3 points of noise, so this allows 91 to 99 %
    assert 0.91 < found.low_holds < 0.99
    assert 0.91 < found.high_holds < 0.99


def test_the_table_replaces_the_one_before() -> None:
    found = calibrate(Scenario(114, 0.6, 0.0, 0.02, 0.0), LIMITS, n_models=5, seed=1)
    table = format_table([(Scenario(114, 0.6, 0.0, 0.02, 0.0), found)])
    once = replace_table(f"Before.\n{TABLE_START}{TABLE_END}\nAfter.\n", table)
    assert once == f"Before.\n{TABLE_START}{table}{TABLE_END}\nAfter.\n"
    assert replace_table(once, table) == once
    assert "| 114 | 60.0% | 0.0% | 2.0% |" in table
