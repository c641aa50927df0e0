"""What measured numbers say against the limits, and why, as sentences.

Limits are exact fractions, and a bound from a file is taken as the decimal that stands there, so
touching a line is not crossing it.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Literal, NamedTuple

from stages.decision.evidence import CapabilityEvidence
from stages.decision.wording import in_hundred, listed
from stages.files.json_text import as_written
from stages.run.params import CapabilityLimit, LimitsParams, ShareLimit

State = Literal["invalid", "pending", "fail", "inconclusive", "pass", "confirmed"]
# A verdict's sign wherever one is shown: never by colour alone.
SYMBOLS: dict[State, str] = {
    "invalid": "⊘",
    "pending": "…",
    "fail": "✗",
    "inconclusive": "?",
    "pass": "✓",
    "confirmed": "✓✓",
}


class ShareLimits(NamedTuple):
    """A share that must be exceeded, and the share that chance alone would give."""

    min_share: Fraction
    chance: Fraction


class DropLimits(NamedTuple):
    """Shares of questions; `confirmed_drop` is the stricter line."""

    max_drop: Fraction
    confirmed_drop: Fraction
    chance: Fraction
    min_questions: int


class Limits(NamedTuple):
    """The lines of all three gates, as fractions."""

    accuracy: ShareLimits
    winrate: ShareLimits
    capability: DropLimits


def exact_limits(limits: LimitsParams) -> Limits:
    """The lines of all three gates."""
    return Limits(
        accuracy=exact_share_limits(limits.accuracy),
        winrate=exact_share_limits(limits.winrate),
        capability=exact_drop_limits(limits.capability),
    )


def exact_share_limits(limit: ShareLimit) -> ShareLimits:
    """A share to exceed, and chance."""
    return ShareLimits(min_share=as_written(limit.min_share), chance=as_written(limit.chance))


def exact_drop_limits(limit: CapabilityLimit) -> DropLimits:
    """Two drops, chance, and the size of the full question set."""
    return DropLimits(
        max_drop=as_written(limit.max_drop),
        confirmed_drop=as_written(limit.confirmed_drop),
        chance=as_written(limit.chance),
        min_questions=limit.min_questions,
    )


class Finding(NamedTuple):
    """What the numbers say, once nothing forbids to use them."""

    state: State
    reasons: tuple[str, ...]


def find_share(
    is_met: bool, low: Fraction, high: Fraction, *, target: Fraction, bars: Mapping[str, Fraction]
) -> Finding:
    """A share with its interval against `target`; `bars` are named shares that `low` must exceed."""
    goal = f"the target of {in_hundred(target)} in 100"
    if high < target:
        top = in_hundred(high, apart_from=target)
        return Finding("fail", (f"Even the top of the likely range, {top} in 100, is below {goal}.",))
    not_ruled_out = [f"{name} ({in_hundred(bar)} in 100)" for name, bar in bars.items() if low <= bar]
    bottom = in_hundred(low, apart_from=target)
    if is_met and not not_ruled_out and low > target:
        return Finding(
            "confirmed", (f"Even the bottom of the likely range, {bottom} in 100, is above {goal}.",)
        )
    if is_met and not not_ruled_out:
        beaten = listed(list(bars))
        return Finding("pass", (f"The result is above {goal}, and the likely range rules out {beaten}.",))
    reasons = [] if is_met else [f"The result is not above {goal}, but the likely range still reaches it."]
    if not_ruled_out:
        bars_left = listed(not_ruled_out, conjunction="or")
        reasons.append(f"The likely range starts at {bottom} in 100, which does not rule out {bars_left}.")
    return Finding("inconclusive", tuple(reasons))


def find_drop(is_met: bool, evidence: CapabilityEvidence, limits: DropLimits, *, floor: list[str]) -> Finding:
    """A drop with its bounds against the limits; `floor` holds the sentence of name_floor, if any."""
    low, high = as_written(evidence.low), as_written(evidence.high)
    widest = as_written(evidence.high_two_sided)
    goal = f"the limit of {points(limits.max_drop)}"
    if low > limits.max_drop:
        least = points(low, apart_from=limits.max_drop)
        return Finding("fail", (f"The drop is at least {least}, which is more than {goal}.",))
    if floor:
        return Finding("inconclusive", tuple(floor))
    if high < limits.max_drop:
        most = points(high, apart_from=limits.max_drop)
        if widest < limits.confirmed_drop:
            strict = points(limits.confirmed_drop)
            return Finding("confirmed", (f"A drop of {strict} or more can be ruled out.",))
        return Finding("pass", (f"A drop larger than {most} can be ruled out, which is within {goal}.",))
    most = points(high, apart_from=limits.max_drop)
    measured = "within" if is_met else "over"
    return Finding(
        "inconclusive",
        (f"The measured drop is {measured} {goal}, but a drop of up to {most} cannot be ruled out.",),
    )


def name_floor(evidence: CapabilityEvidence, limits: DropLimits) -> list[str]:
    """One sentence where the base is so near to guessing that a loss could not be seen, else none."""
    line = limits.chance + limits.max_drop
    if not evidence.at_floor and as_written(evidence.base_acc_low) > line:
        return []
    return ["The starting model does hardly better than guessing here, so a loss could not be seen."]


def points(share: Fraction, *, apart_from: Fraction | None = None) -> str:
    """A share of questions in points, a point being one question in a hundred."""
    number = in_hundred(share, apart_from=apart_from)
    return f"{number} point" if number == "1" else f"{number} points"
