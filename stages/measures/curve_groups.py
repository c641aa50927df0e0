"""Which sections, or editors' pairs, gained most: estimates drawn together, ranges that hold at once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects

from stages.measures.curve import Gain, Runs, contrast, slope_weights

MIN_PAIRS = 10  # of a group: fewer say nothing by themselves
LEVEL = 0.05


class GroupGain(NamedTuple):
    """The average doubling on one group's selection pairs; ends hold for all groups at once, with 95 %."""

    name: str
    n: int
    seen: float  # on its own pairs alone
    value: float  # drawn towards the mean of all groups
    low: float
    high: float


class GroupGains(NamedTuple):
    """Groups, the largest gain first, the mean of all, and the names of groups that are too small."""

    groups: list[GroupGain]
    mean: float
    too_small: list[str]

    @property
    def above(self) -> list[str]:
        """Groups that are shown to have gained more than the mean."""
        return [one.name for one in self.groups if one.low > self.mean]


def gains_by_group(runs: Sequence[Runs], names: Sequence[str | None], clusters: ArrayLike) -> GroupGains:
    """The slope of each group, partially pooled: Paule and Mandel's variance between groups, then shrinkage.

    With t^2 that variance and v_g a group's own, B = t^2 / (t^2 + v_g): value = m + B (seen - m), of variance
    B v_g + (1 - B)^2 var(m); ends at Bonferroni's level over the groups. Nothing of fewer than two groups.
    """
    label, cluster = np.array([name or "" for name in names]), np.asarray(clusters)
    found: dict[str, Gain] = {}
    too_small = []
    for name in sorted(set(filter(None, names))):
        mask = label == name
        part = [one._replace(right=one.right[:, mask], loss=one.loss[:, mask]) for one in runs]
        gain = contrast(part, slope_weights(part), cluster[mask])
        if mask.sum() < MIN_PAIRS or gain.low is None:
            too_small.append(name)
        else:
            found[name] = gain
    if len(found) < 2:
        return GroupGains([], 0.0, too_small)
    seen = np.array([gain.value for gain in found.values()])
    own = np.array([gain.from_pairs + gain.from_luck for gain in found.values()])
    pooled = combine_effects(seen, own, method_re="iterated")
    mean, between = float(pooled.mean_effect_re), float(pooled.tau2)
    share = between / (between + own)
    value = mean + share * (seen - mean)
    deviation = np.sqrt(share * own + (1 - share) ** 2 * float(pooled.sd_eff_w_re) ** 2)
    half = stats.norm.ppf(1 - LEVEL / 2 / len(seen)) * deviation
    columns = zip(found, *(part.tolist() for part in (seen, value, value - half, value + half)), strict=True)
    groups = [GroupGain(name, int(np.sum(label == name)), *numbers) for name, *numbers in columns]
    return GroupGains(sorted(groups, key=lambda one: -one.value), mean, too_small)
