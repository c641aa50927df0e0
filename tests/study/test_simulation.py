import numpy as np
import pytest

from stages.study.plan import Assumptions, make_plan
from stages.study.prereg import Z_ONE_LOOK, Z_TWO_LOOKS, Prereg
from stages.study.simulation import Truth, bounds_of, decided_rate, simulate_points, verdict_rates
from stages.study.winrate import Outcome, estimate_winrate

N_STUDIES = 4000


def points_of(
    truth: Truth, *, n_prompts: int = 50, n_editors: int = 3, n_studies: int = N_STUDIES, salt: str = "t"
):
    return simulate_points(truth, n_studies=n_studies, n_prompts=n_prompts, n_editors=n_editors, salt=salt)


def outcomes_of(points: int, n_editors: int) -> list[Outcome]:
    """Some outcomes of `n_editors` worth these points; the estimate depends on nothing else."""
    wins, rest = divmod(points, 2)
    return (["win"] * wins + ["tie"] * rest + ["loss"] * n_editors)[:n_editors]


@pytest.mark.parametrize("truth", [Truth(0.55, 0.1, 0.4), Truth(0.5, 0.0, 0.0), Truth(0.95, 0.05, 0.9)])
def test_all_studies_at_once_are_each_study_alone(truth: Truth) -> None:
    points = points_of(truth, n_studies=60, n_prompts=12)
    bounds = bounds_of(points, n_editors=3, z=Z_ONE_LOOK)
    for row, value, low, high in zip(points, *bounds, strict=True):
        rate = estimate_winrate([outcomes_of(int(p), 3) for p in row], z=Z_ONE_LOOK)
        assert (value, low, high) == pytest.approx((rate.value, rate.low, rate.high), abs=1e-9)


@pytest.mark.parametrize("win_rate", [0.5, 0.6, 0.7])
@pytest.mark.parametrize("agreement", [0.2, 0.4, 0.6])
def test_the_interval_covers_the_truth_94_to_96_times_in_100(win_rate: float, agreement: float) -> None:
    truth = Truth(win_rate, 0.1, agreement)
    rates = verdict_rates(points_of(truth), truth, n_editors=3, looks=[Z_ONE_LOOK], min_share=0.6, chance=0.5)
    # 4000 studies: one standard deviation is 0.34 points, so a true 95 % lies within +-1.2
    assert 0.94 - 0.005 <= rates.covered <= 0.96 + 0.005


def test_the_simulated_world_has_the_rate_the_ties_and_the_agreement_it_was_asked_for() -> None:
    truth = Truth(0.6, 0.2, 0.4)
    points = points_of(truth, n_studies=2000)
    assert points.mean() / 6 == pytest.approx(0.6, abs=0.005)
    no_ties = points_of(Truth(0.6, 0.0, 0.4), n_studies=2000) / 6
    # var of a prompt's mean of 3 votes = p (1 - p) (1 + 2 icc) / 3 = 0.24 * 1.8 / 3
    assert no_ties.var() == pytest.approx(0.24 * 1.8 / 3, rel=0.03)


def test_equal_arguments_draw_equal_studies_and_another_salt_others() -> None:
    truth = Truth(0.6, 0.1, 0.4)
    assert np.array_equal(points_of(truth, n_studies=5), points_of(truth, n_studies=5))
    assert not np.array_equal(points_of(truth, n_studies=5), points_of(truth, n_studies=5, salt="u"))


def test_verdicts_exclude_each_other_and_better_models_pass_more_often() -> None:
    rows = []
    for win_rate in (0.5, 0.6, 0.7):
        truth = Truth(win_rate, 0.1, 0.4)
        rates = verdict_rates(
            points_of(truth), truth, n_editors=3, looks=[Z_ONE_LOOK], min_share=0.6, chance=0.5
        )
        assert rates.failed + rates.inconclusive + rates.passed + rates.confirmed == pytest.approx(1)
        rows.append(rates)
    assert rows[0].literal < rows[1].literal < rows[2].literal
    assert rows[0].confirmed <= rows[1].confirmed < rows[2].confirmed
    assert rows[1].confirmed <= 0.03  # at the limit itself a one-sided 2.5 %


def test_false_passes_of_fresh_studies_are_those_of_the_plan() -> None:
    prereg = Prereg(
        n_prompts=50, editors=["a", "b", "c"], n_repeats=10, min_repeat_distance=15, n_anchors=2, looks=1,
        max_void_prompts=10, min_share=0.6, chance=0.5,
    )  # fmt: skip
    assumptions = Assumptions(tie_rate=0.1, agreement=0.4, n_simulations=4000, minutes_per_screen=2)
    plan = make_plan(prereg, assumptions)
    line = {line.win_rate: line for line in plan.lines}[0.55]
    truth = Truth(0.55, 0.1, 0.4)
    fresh = verdict_rates(points_of(truth), truth, n_editors=3, looks=[Z_ONE_LOOK], min_share=0.6, chance=0.5)
    assert fresh.literal == pytest.approx(line.literal, abs=0.025)  # 3 deviations of the difference
    assert (plan.n_screens, plan.hours_per_editor) == (62, pytest.approx(62 * 2 / 60))
    settled = {row.win_rate: row.n_prompts for row in plan.settling}
    assert settled[0.65] > settled[0.7] >= settled[0.8] > 0


def test_a_second_look_is_simulated_where_the_first_one_cannot_tell() -> None:
    truth, limits = Truth(0.7, 0.1, 0.4), {"n_editors": 3, "min_share": 0.6, "chance": 0.5}
    points = points_of(truth, n_prompts=100)
    first = verdict_rates(points[:, :50], truth, looks=Z_TWO_LOOKS[:1], **limits)
    both = verdict_rates(points, truth, looks=Z_TWO_LOOKS, **limits)
    late = verdict_rates(points, truth, looks=Z_TWO_LOOKS[1:], **limits)
    assert 2 * first.confirmed < late.confirmed <= both.confirmed
    at_limit = Truth(0.6, 0.1, 0.4)
    false = verdict_rates(points_of(at_limit, n_prompts=100), at_limit, looks=Z_TWO_LOOKS, **limits)
    assert false.confirmed <= 0.03  # both looks together keep a one-sided 2.5 %


def test_impossible_worlds_are_refused() -> None:
    assert decided_rate(Truth(0.6, 0.2, 0.4)) == pytest.approx(0.625)  # 0.2 / 2 + 0.8 * 0.625 = 0.6
    with pytest.raises(ValueError, match="impossible"):
        decided_rate(Truth(0.95, 0.2, 0.4))
