"""Studies of known truth: what a design can show, and whether the interval keeps its promise.

A prompt has its own share p_i for the policy, drawn from a Beta around the true rate; editors judge
it independently. The Beta's spread is set by `agreement`, the intraclass correlation of decided
judgements (1 / (a + b + 1)); a judgement is a tie with probability `tie_rate`, whatever p_i.
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from stages.files.hashing import seed, uniform
from stages.study.ballots import Answer, Choice
from stages.study.design import Slot

Points = NDArray[np.int64]  # [n_studies, n_prompts], 0 to 2 per editor
Flags = NDArray[np.bool_]  # [n_studies]


class Truth(NamedTuple):
    """A world to simulate; `win_rate` counts ties as half."""

    win_rate: float
    tie_rate: float
    agreement: float


class Bounds(NamedTuple):
    """Estimate and interval of every simulated study."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


class Rates(NamedTuple):
    """How often each verdict falls, as shares of the simulated studies; `width` is high - low."""

    literal: float
    failed: float
    inconclusive: float
    passed: float
    confirmed: float
    covered: float
    width: float


def decided_rate(truth: Truth) -> float:
    """The policy's share among decided judgements that gives `win_rate` with ties half."""
    share = (truth.win_rate - truth.tie_rate / 2) / (1 - truth.tie_rate)
    if not 0 < share < 1:
        raise ValueError(f"a win rate of {truth.win_rate} is impossible with {truth.tie_rate} ties")
    return share


def simulate_points(truth: Truth, *, n_studies: int, n_prompts: int, n_editors: int, salt: str) -> Points:
    """Each prompt's points in each of `n_studies`; equal arguments give equal draws."""
    draw = np.random.default_rng(seed("simulation", salt, repr(tuple(truth)), str(n_prompts), str(n_editors)))
    share = decided_rate(truth)
    shape = (n_studies, n_prompts)
    if truth.agreement > 0:
        size = 1 / truth.agreement - 1
        p = draw.beta(share * size, (1 - share) * size, shape)
    else:
        p = np.full(shape, share)
    n_ties = draw.binomial(n_editors, truth.tie_rate, shape)
    wins = draw.binomial(n_editors - n_ties, p)
    return 2 * wins + n_ties


def bounds_of(points: Points, *, n_editors: int, z: float) -> Bounds:
    """`estimate_winrate` of every study at once; a test holds the two together."""
    n_prompts = points.shape[1]
    means = points / (2 * n_editors)
    value = means.mean(axis=1)
    # exact zero where all prompts agree: compare the whole numbers
    flat = (points == points[:, :1]).all(axis=1)
    variance = np.where(flat, 1.0, means.var(axis=1, ddof=1) / n_prompts)
    n_eff = np.where(
        flat, float(n_prompts), np.minimum(value * (1 - value) / variance, n_prompts * n_editors)
    )
    t = stats.t.isf(stats.norm.sf(z), n_prompts - 1)
    n_star = n_eff * (z / t) ** 2
    centre = (value + z * z / (2 * n_star)) / (1 + z * z / n_star)
    half = z / (1 + z * z / n_star) * np.sqrt(value * (1 - value) / n_star + (z / (2 * n_star)) ** 2)
    return Bounds(value, np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1))


class Verdicts(NamedTuple):
    """What the gate says of every simulated study; what is none of the three is inconclusive."""

    literal: Flags
    failed: Flags
    passed: Flags
    confirmed: Flags
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def judge_studies(points: Points, *, n_editors: int, z: float, min_share: float, chance: float) -> Verdicts:
    """The win-rate gate, of every study at once."""
    bounds = bounds_of(points, n_editors=n_editors, z=z)
    whole = 2 * n_editors * points.shape[1]
    literal = points.sum(axis=1) > round(min_share * whole, 9)
    failed = bounds.high < min_share
    confirmed = ~failed & literal & (bounds.low > min_share)
    passed = ~failed & ~confirmed & literal & (bounds.low > chance)
    return Verdicts(literal, failed, passed, confirmed, bounds.low, bounds.high)


def verdict_rates(
    points: Points, truth: Truth, *, n_editors: int, looks: Sequence[float], min_share: float, chance: float
) -> Rates:
    """How often the win-rate gate says what, and how often the interval holds the truth.

    `looks` has the z of each look. With two, the first half of the prompts is judged first, and all of them
    where that neither fails nor confirms.
    """
    n_prompts = points.shape[1] // len(looks)
    judge = partial(judge_studies, n_editors=n_editors, min_share=min_share, chance=chance)
    found = judge(points[:, :n_prompts], z=looks[0])
    for number, z in enumerate(looks[1:], 2):
        is_settled = found.failed | found.confirmed
        later = judge(points[:, : number * n_prompts], z=z)
        found = Verdicts(*(np.where(is_settled, old, new) for old, new in zip(found, later, strict=True)))
    covered = (found.low <= truth.win_rate) & (truth.win_rate <= found.high)
    return Rates(
        literal=float(found.literal.mean()),
        failed=float(found.failed.mean()),
        inconclusive=float((~found.failed & ~found.confirmed & ~found.passed).mean()),
        passed=float(found.passed.mean()),
        confirmed=float(found.confirmed.mean()),
        covered=float(covered.mean()),
        width=float((found.high - found.low).mean()),
    )


NOTICES_ANCHOR = 0.95


class Habits(NamedTuple):
    """How a simulated editor judges; shares in [0, 1]."""

    truth: Truth
    left_bias: float  # share of screens on which left is taken without reading
    fatigue: float  # share of judgements at the end of the page that are mere coin flips


def judge_page(slots: Sequence[Slot], habits: Habits, *, editor: str, salt: str) -> list[Answer]:
    """One answer per slot; equal arguments give equal answers."""
    return [
        Answer(
            slot_id=slot.slot_id,
            choice=_choose(slot, habits, tiredness=position / len(slots), names=(salt, editor, slot.slot_id)),
            strength="",
            reasons=[],
            note="",
        )
        for position, slot in enumerate(slots)
    ]


def _choose(slot: Slot, habits: Habits, *, tiredness: float, names: tuple[str, str, str]) -> Choice:
    if uniform("bias", *names) < habits.left_bias:
        return "left"
    if uniform("fatigue", *names) < habits.fatigue * tiredness:
        return "left" if uniform("coin", *names) < 0.5 else "right"
    if slot.kind == "anchor":
        return _side(slot, "better", chosen=uniform("anchor", *names) < NOTICES_ANCHOR)
    if uniform("tie", *names) < habits.truth.tie_rate:
        return "tie"
    share = prompt_share(slot.item_id, habits.truth, salt=names[0])
    return _side(slot, "policy", chosen=uniform("vote", *names) < share)


def prompt_share(item_id: str, truth: Truth, *, salt: str) -> float:
    """The share of decided judgements that this prompt gives the policy, the same for all editors."""
    share = decided_rate(truth)
    if truth.agreement == 0:
        return share
    size = 1 / truth.agreement - 1
    return float(stats.beta.ppf(uniform("prompt", salt, item_id), share * size, (1 - share) * size))


def _side(slot: Slot, text: Literal["policy", "better"], *, chosen: bool) -> Choice:
    return "left" if (slot.left == text) == chosen else "right"
