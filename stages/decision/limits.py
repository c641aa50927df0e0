"""The thresholds of `params.yaml` as the exact fractions a person wrote."""

from stages.decision.findings import DropLimits, Limits, ShareLimits
from stages.run.params import CapabilityLimit, LimitsParams, ShareLimit, exact


def exact_limits(limits: LimitsParams) -> Limits:
    """The lines of all three gates."""
    return Limits(
        accuracy=exact_share_limits(limits.accuracy),
        winrate=exact_share_limits(limits.winrate),
        capability=exact_drop_limits(limits.capability),
    )


def exact_share_limits(limit: ShareLimit) -> ShareLimits:
    """A share to exceed, and chance."""
    return ShareLimits(min_share=exact(limit.min_share), chance=exact(limit.chance))


def exact_drop_limits(limit: CapabilityLimit) -> DropLimits:
    """Two drops, chance, and the size of the full question set."""
    return DropLimits(
        max_drop=exact(limit.max_drop),
        confirmed_drop=exact(limit.confirmed_drop),
        chance=exact(limit.chance),
        min_questions=limit.min_questions,
    )
