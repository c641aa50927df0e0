"""A result with its likely range against its target, as coordinates for an SVG drawing."""

import math
from fractions import Fraction
from typing import NamedTuple

from stages.decision.wording import in_hundred

WIDTH = 240.0  # SVG units
MARGIN = 12.0
SMALLEST_SPAN = 0.05  # a drop is drawn on -5 to 5 points at least


class Mark(NamedTuple):
    """A place on the scale and what stands under it."""

    x: float
    label: str


class IntervalPlot(NamedTuple):
    """x positions in SVG units; the good side of the target runs from `good_from` to `good_to`."""

    value: float
    low: float
    high: float
    target: Mark
    good_from: float
    good_to: float
    ticks: list[Mark]
    alt: str


def plot_share(value: float, low: float, high: float, *, target: Fraction, alt: str) -> IntervalPlot:
    """A share on the scale from 0 to 1; above the target is good."""
    line = float(target)
    return IntervalPlot(
        value=_place(value, 0, 1),
        low=_place(low, 0, 1),
        high=_place(high, 0, 1),
        target=Mark(_place(line, 0, 1), f"target {in_hundred(target)}"),
        good_from=_place(line, 0, 1),
        good_to=_place(1, 0, 1),
        ticks=[Mark(_place(share, 0, 1), label) for share, label in ((0, "0"), (0.5, "50"), (1, "100"))],
        alt=alt,
    )


def plot_drop(value: float, low: float, high: float, *, target: Fraction, alt: str) -> IntervalPlot:
    """A drop on a scale around none; below the limit is good, so the drawing runs from gain to loss."""
    span = max(SMALLEST_SPAN, math.ceil(max(abs(low), abs(high)) * 100) / 100)
    line = float(target)
    edge = in_hundred(Fraction(repr(span)))
    return IntervalPlot(
        value=_place(value, -span, span),
        low=_place(low, -span, span),
        high=_place(high, -span, span),
        target=Mark(_place(line, -span, span), f"limit {in_hundred(target)}"),
        good_from=_place(-span, -span, span),
        good_to=_place(line, -span, span),
        ticks=[
            Mark(_place(-span, -span, span), f"{edge} higher"),
            Mark(_place(0, -span, span), "0"),
            Mark(_place(span, -span, span), f"{edge} lower"),
        ],
        alt=alt,
    )


def _place(number: float, start: float, end: float) -> float:
    inside = min(max(number, start), end)
    return round(MARGIN + (inside - start) / (end - start) * (WIDTH - 2 * MARGIN), 2)
