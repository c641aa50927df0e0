"""Win rate of the policy over the base: every judgement counted, prompts as the sampling unit.

s = 1 policy, 1/2 tie, 0 base; m_i = mean over editors for prompt i; W = mean of m_i over P prompts;
v = var(m_i, ddof 1) / P; n_eff = min(W (1 - W) / v, number of ballots), or P where v = 0;
n* = n_eff (z / t_P-1)^2; interval = Wilson(W n*, n*). All but z, t and Wilson is exact arithmetic.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, NamedTuple

from scipy import stats

from stages.measures.intervals import wilson_interval

Outcome = Literal["win", "tie", "loss"]

POINTS: dict[Outcome, int] = {"win": 2, "tie": 1, "loss": 0}  # twice the score, so that all are whole


class WinRate(NamedTuple):
    """Shares in [0, 1]; wins, ties and losses are the policy's, over all `n` judgements."""

    value: float
    low: float
    high: float
    wins: int
    ties: int
    losses: int
    n: int
    n_prompts: int
    n_eff: float
    n_star: float


def estimate_winrate(outcomes: Sequence[Sequence[Outcome]], *, z: float) -> WinRate:
    """Win rate and its interval; `outcomes` has one row per prompt with one outcome per editor.

    `z` is that of both bounds (1.960 for two-sided 95 %). ValueError unless there are two prompts
    or more and every prompt was judged by the same number of editors, at least one.
    """
    n_prompts = len(outcomes)
    if n_prompts < 2:
        raise ValueError(f"an interval over prompts needs at least two of them, got {n_prompts}")
    n_editors = len(outcomes[0])
    if n_editors == 0 or any(len(row) != n_editors for row in outcomes):
        raise ValueError("every prompt must be judged by every editor")

    n = n_prompts * n_editors
    points = [sum(POINTS[outcome] for outcome in row) for row in outcomes]
    share = Fraction(sum(points), 2 * n)
    n_eff, n_star = effective_sizes(points, n_editors=n_editors, z=z)
    interval = wilson_interval(float(share) * n_star, n_star, confidence=1 - 2 * float(stats.norm.sf(z)))
    flat = [outcome for row in outcomes for outcome in row]
    return WinRate(
        value=float(share),
        low=interval.low,
        high=interval.high,
        wins=flat.count("win"),
        ties=flat.count("tie"),
        losses=flat.count("loss"),
        n=n,
        n_prompts=n_prompts,
        n_eff=n_eff,
        n_star=n_star,
    )


class EffectiveSizes(NamedTuple):
    """How many independent judgements these are worth, before and after the t correction."""

    n_eff: float
    n_star: float


def effective_sizes(points: Sequence[int], *, n_editors: int, z: float) -> EffectiveSizes:
    """n_eff and n* from each prompt's points (0 to 2 per editor)."""
    n_prompts, total = len(points), sum(points)
    square = sum(point * point for point in points)
    variance = (
        Fraction(square * n_prompts - total * total, n_prompts * (n_prompts - 1)) / (2 * n_editors) ** 2
    )
    share = Fraction(total, 2 * n_editors * n_prompts)
    worth = share * (1 - share) / (variance / n_prompts) if variance else n_prompts
    n_eff = min(float(worth), float(n_prompts * n_editors))
    t = float(stats.t.isf(stats.norm.sf(z), n_prompts - 1))
    return EffectiveSizes(n_eff, n_eff * (z / t) ** 2)
