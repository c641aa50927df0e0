"""Intervals for shares."""

from typing import NamedTuple

from statsmodels.stats.proportion import proportion_confint


class Interval(NamedTuple):
    """Both ends as shares in [0, 1]."""

    low: float
    high: float


def wilson_interval(successes: float, n: float, *, confidence: float = 0.95) -> Interval:
    """Wilson's score interval (1927); `successes` and `n` may be effective, not whole, numbers.

    Raises ValueError where nothing was counted: a rate over nothing is no rate.
    """
    if n <= 0:
        raise ValueError("an interval needs at least one observation")
    low, high = proportion_confint(successes, n, alpha=1 - confidence, method="wilson")
    return Interval(float(low), float(high))
