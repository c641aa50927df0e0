"""Accuracy against capability drop, one dot a variant, as coordinates for an SVG drawing."""

from collections.abc import Sequence
from typing import NamedTuple

from stages.core.interval_plot import Mark
from stages.core.variants import Variant, on_the_frontier

WIDTH, HEIGHT, MARGIN = 640.0, 360.0, 48.0
SMALLEST_RADIUS, LARGEST_RADIUS = 4.0, 12.0
PADDING = 0.1  # of the range, on both sides


class Dot(NamedTuple):
    """A variant: its place, its size by mean length, and whether nothing beats it."""

    name: str
    x: float
    y: float
    radius: float
    on_frontier: bool


class ParetoPlot(NamedTuple):
    """Dots, and the ends of both axes in hundredths."""

    dots: list[Dot]
    x_ends: list[Mark]
    y_ends: list[Mark]
    alt: str


def plot_pareto(variants: Sequence[Variant]) -> ParetoPlot | None:
    """The drawing, or None where no variant has both numbers. Up is more accurate, left is less lost."""
    frontier = on_the_frontier(variants)
    shown = [
        (one, one.gates.capability.value, one.gates.accuracy.value)
        for one in variants
        if one.gates and one.gates.capability.value is not None and one.gates.accuracy.value is not None
    ]
    if not shown:
        return None
    drops, shares = [drop for _, drop, _ in shown], [share for _, _, share in shown]
    x_low, x_high = _ends(drops)
    y_low, y_high = _ends(shares)
    longest = max((one.mean_n_tokens or 0.0 for one, _, _ in shown), default=0.0)
    dots = [
        Dot(
            name=one.name,
            x=round(MARGIN + (drop - x_low) / (x_high - x_low) * (WIDTH - 2 * MARGIN), 1),
            y=round(HEIGHT - MARGIN - (share - y_low) / (y_high - y_low) * (HEIGHT - 2 * MARGIN), 1),
            radius=_radius(one.mean_n_tokens, longest),
            on_frontier=one.name in frontier,
        )
        for one, drop, share in shown
    ]
    best = ", ".join(dot.name for dot in dots if dot.on_frontier)
    return ParetoPlot(
        dots=dots,
        x_ends=[Mark(MARGIN, f"{x_low * 100:.1f}"), Mark(WIDTH - MARGIN, f"{x_high * 100:.1f}")],
        y_ends=[Mark(HEIGHT - MARGIN, f"{y_low * 100:.1f}"), Mark(MARGIN, f"{y_high * 100:.1f}")],
        alt=f"Held-out accuracy against capability drop of {len(dots)} variants. No other beats: {best}.",
    )


def _ends(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    padding = (high - low) * PADDING or 0.01
    return low - padding, high + padding


def _radius(mean_n_tokens: float | None, longest: float) -> float:
    if not mean_n_tokens or not longest:
        return SMALLEST_RADIUS
    return round(SMALLEST_RADIUS + (LARGEST_RADIUS - SMALLEST_RADIUS) * mean_n_tokens / longest, 1)
