"""What it would cost to learn more, if the shares seen so far are the true ones.

A line L is outside Wilson's interval exactly where the score test rejects it, so the size that puts it there
8 times in 10 has a closed form, W being the true share (Fleiss, Levin and Paik 2003, section 2.4):
n = (z sqrt(L (1 - L)) + z_power sqrt(W (1 - W)))^2 / (W - L)^2.
"""

import math
from collections.abc import Collection
from typing import NamedTuple

from stages.decision.evidence import AccuracyEvidence, ReviewPeriod, WinrateEvidence
from stages.decision.findings import Limits
from stages.decision.verdicts import GateName
from stages.reporting.coverage import Measures
from stages.study.prereg import Z_ONE_LOOK

Z_POWER = 0.8416  # the normal quantile of a chance of 80 %, at which `study plan` aims, too
MOST = 20  # times what there is: nobody plans a larger study
ROUNDED_UP_TO = 10  # a plan, not a promise
DAYS_IN_WEEK = 7


class Outlook(NamedTuple):
    """Sizes in all, not added; None where they are unknown, or no size would do."""

    n_tasks_to_settle: int | None
    n_tasks_to_confirm: int | None
    n_pairs_to_settle: int | None
    n_weeks_for_pairs: int | None  # to collect n_pairs_to_settle at the pace of the pairs at hand
    would_fail: Collection[GateName] = ()  # of the two: settled, the share seen so far is a failure
    is_first_of_two_looks: bool = False  # the study may go on with fresh tasks


def look_ahead(measures: Measures, limits: Limits, period: ReviewPeriod | None) -> Outlook:
    """What would settle the two gates that compare a share to a line, in four of five cases."""
    winrate, accuracy = measures.winrate, measures.accuracy
    n_pairs = pairs_to_settle(accuracy, float(limits.accuracy.min_share), float(limits.accuracy.chance))
    target, chance = float(limits.winrate.min_share), float(limits.winrate.chance)
    would_fail: set[GateName] = set()
    if winrate and winrate.value <= limits.winrate.min_share:
        would_fail.add("winrate")
    if accuracy and accuracy.k <= limits.accuracy.min_share * accuracy.n:
        would_fail.add("accuracy")
    return Outlook(
        n_tasks_to_settle=tasks_to_settle(winrate, target, chance),
        n_tasks_to_confirm=tasks_to_confirm(winrate, target),
        n_pairs_to_settle=n_pairs,
        n_weeks_for_pairs=weeks_at_pace(n_pairs, period),
        would_fail=would_fail,
        is_first_of_two_looks=winrate is not None and (winrate.look, winrate.looks) == (1, 2),
    )


def tasks_to_settle(winrate: WinrateEvidence | None, target: float, chance: float) -> int | None:
    """Tasks after which a share above the target excludes chance, and one below excludes the target."""
    if winrate is None:
        return None
    size = size_to_settle(winrate.value, target, chance, z=winrate.z or Z_ONE_LOOK)
    return items_for(size, n=winrate.n_prompts, worth=winrate.n_star)


def tasks_to_confirm(winrate: WinrateEvidence | None, target: float) -> int | None:
    """Tasks after which the interval around this share excludes the target."""
    if winrate is None:
        return None
    size = size_to_exclude(winrate.value, target, z=winrate.z or Z_ONE_LOOK)
    return items_for(size, n=winrate.n_prompts, worth=winrate.n_star)


def pairs_to_settle(accuracy: AccuracyEvidence | None, target: float, chance: float) -> int | None:
    """Held-out pairs after which a share above the target excludes every bar, one below the target itself."""
    if accuracy is None:
        return None
    bar = max(chance, accuracy.longer_wins)
    size = size_to_settle(accuracy.k / accuracy.n, target, bar, z=Z_ONE_LOOK)
    return items_for(size, n=accuracy.n, worth=accuracy.n_eff)


def items_for(size: float | None, *, n: int | None, worth: float | None) -> int | None:
    """Tasks or pairs of this effective size; one is worth what it was among these `n`.

    None where that is unknown, and of more than anybody plans.
    """
    if size is None or not n or not worth or size > MOST * worth:
        return None
    return round_up(n * size / worth)


def size_to_settle(share: float, target: float, bar: float, *, z: float) -> float | None:
    """The size that tells a share at or below the target to be below it, or one above it to be above `bar`.

    The latter passes only where the share that is seen lies above the target again.
    """
    if share <= target:
        return size_to_exclude(share, target, z=z)
    needed = size_to_exclude(share, bar, z=z) if share > bar else None
    again = Z_POWER**2 * share * (1 - share) / (share - target) ** 2
    return None if needed is None else max(needed, again)


def size_to_exclude(share: float, line: float, *, z: float) -> float | None:
    """The size at which Wilson's interval leaves `line` out 8 times in 10, were `share` the true one.

    None where it never does.
    """
    if share == line or not 0 < line < 1:
        return None
    reach = z * math.sqrt(line * (1 - line)) + Z_POWER * math.sqrt(share * (1 - share))
    return reach**2 / (share - line) ** 2


def weeks_at_pace(n_pairs: int | None, period: ReviewPeriod | None) -> int | None:
    """Weeks in which the editors reviewed so many pairs; None where their days are unknown."""
    if n_pairs is None or period is None:
        return None
    n_days = (period.reviewed_to - period.reviewed_from).days + 1
    return math.ceil(n_pairs * n_days / (period.n_day_known * DAYS_IN_WEEK))


def round_up(size: float) -> int:
    """The next multiple of ROUNDED_UP_TO above `size`: touching the line is not enough."""
    return (math.floor(size / ROUNDED_UP_TO) + 1) * ROUNDED_UP_TO
