import itertools
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, t

from stages.study.prereg import Z_ONE_LOOK, Z_TWO_LOOKS
from stages.study.winrate import Outcome, estimate_winrate

SCORES = {"win": 1.0, "tie": 0.5, "loss": 0.0}
MIRROR: dict[Outcome, Outcome] = {"win": "loss", "tie": "tie", "loss": "win"}

studies = st.integers(1, 4).flatmap(
    lambda n_editors: st.lists(
        st.lists(st.sampled_from(["win", "tie", "loss"]), min_size=n_editors, max_size=n_editors),
        min_size=2,
        max_size=60,
    )
)


def slow_interval(outcomes: list[list[Outcome]], z: float) -> tuple[float, float, float]:
    """The definition, line by line, in floats; Wilson's formula written out."""
    means = [statistics.fmean(SCORES[outcome] for outcome in row) for row in outcomes]
    p, share = len(means), statistics.fmean(means)
    v = statistics.variance(means) / p
    n_eff = float(p) if v < 1e-15 else min(share * (1 - share) / v, p * len(outcomes[0]))
    n_star = n_eff * (z / t.ppf(norm.cdf(z), p - 1)) ** 2
    centre = (share + z * z / (2 * n_star)) / (1 + z * z / n_star)
    half = z / (1 + z * z / n_star) * math.sqrt(share * (1 - share) / n_star + z * z / (4 * n_star**2))
    return share, max(centre - half, 0.0), min(centre + half, 1.0)


@given(studies, st.sampled_from([Z_ONE_LOOK, *Z_TWO_LOOKS]))
def test_it_agrees_with_the_definition_computed_the_slow_way(outcomes, z) -> None:
    rate = estimate_winrate(outcomes, z=z)
    share, low, high = slow_interval(outcomes, z)
    assert rate.value == pytest.approx(share, abs=1e-12)
    assert rate.low == pytest.approx(low, abs=1e-9)
    assert rate.high == pytest.approx(high, abs=1e-9)
    assert rate.wins + rate.ties + rate.losses == rate.n == len(outcomes) * len(outcomes[0])
    assert rate.value == pytest.approx((2 * rate.wins + rate.ties) / (2 * rate.n), abs=1e-15)


@given(studies)
def test_swapping_the_models_mirrors_the_result(outcomes) -> None:
    rate = estimate_winrate(outcomes, z=Z_ONE_LOOK)
    mirrored = estimate_winrate([[MIRROR[outcome] for outcome in row] for row in outcomes], z=Z_ONE_LOOK)
    assert (mirrored.wins, mirrored.ties, mirrored.losses) == (rate.losses, rate.ties, rate.wins)
    assert mirrored.value == pytest.approx(1 - rate.value, abs=1e-15)
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - rate.high, 1 - rate.low), abs=1e-12)
    assert mirrored.n_eff == pytest.approx(rate.n_eff, rel=1e-12)


@given(studies, st.randoms())
def test_the_order_of_prompts_and_editors_does_not_matter(outcomes, random) -> None:
    rate = estimate_winrate(outcomes, z=Z_ONE_LOOK)
    shuffled = random.sample(outcomes, len(outcomes))
    assert estimate_winrate([row[::-1] for row in shuffled], z=Z_ONE_LOOK) == rate


def test_a_worked_example() -> None:
    # m = (1, 1/2, 0, 1/2): W = 1/2, var = 1/6, v = 1/24, n_eff = (1/4) / (1/24) = 6, of 8 ballots
    outcomes: list[list[Outcome]] = [["win", "win"], ["win", "loss"], ["loss", "loss"], ["tie", "tie"]]
    rate = estimate_winrate(outcomes, z=Z_ONE_LOOK)
    assert (rate.value, rate.n_eff) == (0.5, 6.0)
    assert rate.n_star == pytest.approx(6 * (1.959964 / 3.182446) ** 2, rel=1e-6)
    assert (rate.wins, rate.ties, rate.losses, rate.n, rate.n_prompts) == (3, 2, 3, 8, 4)


@pytest.mark.parametrize("row", [["win"] * 3, ["win", "tie", "loss"], ["win", "loss", "loss"], ["tie"] * 3])
def test_without_any_variance_between_prompts_each_prompt_counts_once(row) -> None:
    rate = estimate_winrate(
        [list(p) for p in itertools.islice(itertools.cycle(itertools.permutations(row)), 50)], z=1.96
    )
    assert rate.n_eff == 50
    assert rate.n_star == pytest.approx(
        50 * (1.96 / 2.0096) ** 2, rel=1e-4
    )  # Student's t of 49 degrees of freedom


def test_a_few_prompts_that_all_say_the_same_pass_no_gate() -> None:
    # four prompts without a loss: t of 3 degrees of freedom is 3.18, so n* = 4 (1.96 / 3.18)^2 = 1.52
    assert estimate_winrate([["win"] * 3] * 4, z=1.96).low == pytest.approx(1.52 / (1.52 + 1.96**2), abs=1e-3)


def test_editors_who_agree_wholly_are_worth_about_one_editor() -> None:
    three = [["win"] * 3, ["loss"] * 3] * 25
    assert estimate_winrate(three, z=1.96).n_eff == pytest.approx(49)  # P (P - 1) / P


def test_n_eff_never_exceeds_the_number_of_ballots() -> None:
    balanced = [["win", "loss", "win"], ["loss", "win", "loss"]] * 25
    assert estimate_winrate(balanced, z=1.96).n_eff == 150


@pytest.mark.parametrize("outcomes", [[], [["win"]], [["win"], ["win", "tie"]], [[], []]])
def test_too_little_is_an_error_and_no_number(outcomes) -> None:
    with pytest.raises(ValueError, match=r"at least two|every editor"):
        estimate_winrate(outcomes, z=1.96)
