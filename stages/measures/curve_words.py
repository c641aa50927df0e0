"""What a learning curve says, in sentences; nothing is extrapolated, because curves bend."""

import math
from collections.abc import Iterator
from fractions import Fraction

from stages.decision.wording import count, listed, plural, rounded
from stages.measures.curve import MIN_SIZES, WIDEST, Curve, Gain, quantile
from stages.measures.curve_groups import GroupGains

MOST_NAMED = 5  # of groups that are too small
NO_RANGE = "all selection pairs, or nearly all, belong together, which leaves no range"


def tell_curve(curve: Curve) -> str:
    """Does more data help? By the average doubling's range and the last gain, or that it cannot be told."""
    average, last = curve.average, curve.last
    if reason := why_not_told(curve):
        return f"Whether more pairs would help cannot be told from these runs: {reason}."
    added = f"On average a doubling added {span(average)}; the last one {span(last)}."
    if average.is_above_zero and not curve.helps:
        return f"{added} More pairs helped at first; that still more would help is not shown."
    if curve.helps:
        return f"{added} More pairs would help, the next doubling by at most about what the last one did."
    return f"{added} That more pairs would help is not shown."


def why_not_told(curve: Curve) -> str:
    """What is missing for a sentence, and how much more would do; "" where nothing is."""
    average, n_sizes = curve.average, len(curve.points)
    if average.low is None or average.high is None:
        return NO_RANGE
    reasons = []
    if n_sizes < MIN_SIZES:
        reasons.append(f"there are {n_sizes} sizes, and a third would show how the curve bends")
    if average.high - average.low > WIDEST:
        width = points(average.high - average.low)
        n_wanted = selection_pairs_wanted(curve)
        way = (
            f"about {count(n_wanted)} selection pairs would tell"
            if n_wanted
            else "the luck of the runs hides it, and more seeds a size would tell"
        )
        reasons.append(f"the average doubling is known to {width} points ({span(average)}); {way}")
    return ", and ".join(reasons)


def selection_pairs_wanted(curve: Curve) -> int | None:
    """Selection pairs at which the range would be WIDEST, two digits; None where luck alone is wider."""
    average = curve.average
    left = (WIDEST / 2 / quantile(average.df)) ** 2 - average.from_luck
    if left <= 0:
        return None
    wanted = average.from_pairs * curve.n_selection / left
    unit: int = 10 ** max(0, math.floor(math.log10(wanted)) - 1)
    return math.ceil(wanted / unit) * unit


def tell_groups(gains: GroupGains, nouns: str) -> str:
    """Where the next pairs should come from, or that nothing can be told; `nouns` are sections or editors."""
    named, n_more = gains.too_small[:MOST_NAMED], len(gains.too_small[MOST_NAMED:])
    shown = [*named, *([f"{n_more} more"] if n_more else [])]
    small = f" Too small to tell: {listed(shown)}." if shown else ""
    if not gains.groups:
        return f"By {nouns}: fewer than two have enough selection pairs.{small}"
    names = gains.above
    if names:
        return f"By {nouns}: {listed(names)} gained more than the others; more pairs there first.{small}"
    return f"By {nouns}: nothing can be told; they differ no more than chance would make them.{small}"


def about(curve: Curve) -> Iterator[str]:
    """What the ranges hold, and what the curve leaves open."""
    seeds = sorted({one.n_seeds for one in curve.points})
    luck = math.sqrt(curve.average.from_luck)
    ranges = "The range of a size is that over the pairs; gains also hold the luck of a run."
    if not curve.is_luck_known:
        ranges = "One seed a size: the luck of a run is in no range, so all of them are too narrow."
    same = f"{plural(curve.n_selection, 'selection pair')}, the same for every run"
    yield f"{same}; the held-out pairs took no part. {ranges}"
    if curve.is_luck_known and luck:
        yield (
            f"Between seeds the average doubling moves by {points(luck)} points "
            f"(standard deviation, {listed([str(n) for n in seeds])} seeds a size)."
        )


def span(gain: Gain) -> str:
    """A range in points: `1 to 4.2 points`."""
    if gain.low is None or gain.high is None:
        return f"{points(gain.value)} points (no range)"
    return f"{points(gain.low)} to {points(gain.high)} points"


def points(difference: float) -> str:
    """A difference of shares in points, one decimal at most, with a real minus."""
    return rounded(Fraction(difference) * 100).replace("-", "−")
