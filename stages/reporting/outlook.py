"""What it would cost to learn more, if the shares seen so far are the true ones.

A line is outside Wilson's interval exactly where the score test rejects it, so the size that puts
it there has a closed form: n > z^2 L (1 - L) / (share - L)^2 (Wilson 1927).
"""

import math
from typing import NamedTuple

from stages.decision.evidence import AccuracyEvidence, ReviewPeriod, WinrateEvidence
from stages.decision.findings import Limits
from stages.reporting.coverage import Measures
from stages.study.prereg import Z_ONE_LOOK

ROUNDED_UP_TO = 10  # a plan, not a promise
DAYS_IN_WEEK = 7


class Outlook(NamedTuple):
    """Sizes in all, not added; None where they are unknown, or no size would do."""

    n_tasks_to_settle: int | None
    n_tasks_to_confirm: int | None
    n_pairs_to_settle: int | None
    n_weeks_for_pairs: int | None  # to collect n_pairs_to_settle at the pace of the pairs at hand


def look_ahead(measures: Measures, limits: Limits, period: ReviewPeriod | None) -> Outlook:
    """What would settle the two gates that compare a share to a line."""
    winrate, accuracy = measures.winrate, measures.accuracy
    n_pairs = pairs_to_settle(accuracy, float(limits.accuracy.min_share), float(limits.accuracy.chance))
    return Outlook(
        n_tasks_to_settle=tasks_to_settle(
            winrate, float(limits.winrate.min_share), float(limits.winrate.chance)
        ),
        n_tasks_to_confirm=tasks_to_exclude(winrate, float(limits.winrate.min_share)),
        n_pairs_to_settle=n_pairs,
        n_weeks_for_pairs=weeks_at_pace(n_pairs, period),
    )


def tasks_to_settle(winrate: WinrateEvidence | None, target: float, chance: float) -> int | None:
    """Tasks after which a share above the target excludes chance, and one below excludes the target."""
    line = None if winrate is None else line_to_settle(winrate.value, target, chance)
    return None if winrate is None or line is None else tasks_to_exclude(winrate, line)


def tasks_to_exclude(winrate: WinrateEvidence | None, line: float) -> int | None:
    """Tasks after which the interval no longer holds `line`; a task is worth what it was in this study."""
    if winrate is None or not winrate.n_prompts or not winrate.n_star:
        return None
    needed = size_to_exclude(winrate.value, line, z=winrate.z or Z_ONE_LOOK)
    return None if needed is None else round_up(winrate.n_prompts * needed / winrate.n_star)


def pairs_to_settle(accuracy: AccuracyEvidence | None, target: float, chance: float) -> int | None:
    """Held-out pairs after which a share above the target excludes every bar, one below the target itself."""
    if accuracy is None or not accuracy.n_eff:
        return None
    share = accuracy.k / accuracy.n
    line = line_to_settle(share, target, max(chance, accuracy.longer_wins))
    needed = None if line is None else size_to_exclude(share, line, z=Z_ONE_LOOK)
    return None if needed is None else round_up(accuracy.n * needed / accuracy.n_eff)


def line_to_settle(share: float, target: float, bar: float) -> float | None:
    """What the interval must leave behind: `bar` for a share above the target, else the target."""
    if share <= target:
        return target
    return bar if share > bar else None


def size_to_exclude(share: float, line: float, *, z: float) -> float | None:
    """The size at which Wilson's interval around `share` ends at `line`; None where it never does."""
    if share == line or not 0 < line < 1:
        return None
    return z * z * line * (1 - line) / (share - line) ** 2


def weeks_at_pace(n_pairs: int | None, period: ReviewPeriod | None) -> int | None:
    """Weeks in which the editors reviewed so many pairs; None where their days are unknown."""
    if n_pairs is None or period is None:
        return None
    n_days = (period.reviewed_to - period.reviewed_from).days + 1
    return math.ceil(n_pairs * n_days / (period.n_day_known * DAYS_IN_WEEK))


def round_up(size: float) -> int:
    """The next multiple of ROUNDED_UP_TO above `size`: touching the line is not enough."""
    return (math.floor(size / ROUNDED_UP_TO) + 1) * ROUNDED_UP_TO
