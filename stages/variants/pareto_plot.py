"""Accuracy against what it costs, one dot a variant, as coordinates for SVG drawings."""

from collections.abc import Sequence
from typing import NamedTuple

from stages.reporting.interval_plot import Mark
from stages.variants.variants import Variant, on_the_frontier

WIDTH, HEIGHT, MARGIN = 640.0, 360.0, 48.0
RADIUS = 5.0
PADDING = 0.1  # of the range, on both sides
MOST_NAMED = 12  # of more variants, only those that none beats are named


class Dot(NamedTuple):
    """A variant: its place, its name where there is room, and whether nothing beats it."""

    name: str
    x: float
    y: float
    is_named: bool
    on_frontier: bool


class Point(NamedTuple):
    """A variant's cost and its held-out accuracy."""

    name: str
    cost: float
    accuracy: float


class ParetoPlot(NamedTuple):
    """One panel: dots, and the ends of both axes."""

    title: str
    dots: list[Dot]
    x_ends: list[Mark]
    y_ends: list[Mark]
    x_label: str
    y_label: str
    alt: str


def plot_pareto(variants: Sequence[Variant]) -> list[ParetoPlot]:
    """Accuracy against capability drop, and against length; a panel without a dot is left out.

    Up is more accurate. Filled dots are those that no other variant beats in both accuracy and drop.
    """
    frontier = on_the_frontier(variants)
    scored = [
        (one, one.gates.accuracy.value)
        for one in variants
        if one.gates and one.gates.accuracy.value is not None
    ]
    drops = [
        Point(one.name, one.gates.capability.value * 100, share)
        for one, share in scored
        if one.gates and one.gates.capability.value is not None
    ]
    lengths = [
        Point(one.name, one.length_ratio, share) for one, share in scored if one.length_ratio is not None
    ]
    panels = [
        ("Accuracy against capability drop", drops, "capability drop, points (left is better)"),
        ("Accuracy against length", lengths, "length of its texts, in lengths of the base’s"),
    ]
    return [draw_panel(title, points, label, frontier) for title, points, label in panels if points]


def draw_panel(title: str, points: Sequence[Point], x_label: str, frontier: set[str]) -> ParetoPlot:
    """The panel of at least one point."""
    x_low, x_high = _ends([point.cost for point in points])
    y_low, y_high = _ends([point.accuracy * 100 for point in points])
    dots = [
        Dot(
            name=point.name,
            x=round(MARGIN + (point.cost - x_low) / (x_high - x_low) * (WIDTH - 2 * MARGIN), 1),
            y=round(
                HEIGHT - MARGIN - (point.accuracy * 100 - y_low) / (y_high - y_low) * (HEIGHT - 2 * MARGIN), 1
            ),
            is_named=len(points) <= MOST_NAMED or point.name in frontier,
            on_frontier=point.name in frontier,
        )
        for point in points
    ]
    best = ", ".join(dot.name for dot in dots if dot.on_frontier) or "none"
    return ParetoPlot(
        title=title,
        dots=dots,
        x_ends=[Mark(MARGIN, f"{x_low:.2f}"), Mark(WIDTH - MARGIN, f"{x_high:.2f}")],
        y_ends=[Mark(HEIGHT - MARGIN, f"{y_low:.1f}"), Mark(MARGIN, f"{y_high:.1f}")],
        x_label=x_label,
        y_label="held-out accuracy, % (up is better)",
        alt=f"{title}, {len(dots)} variants. None beats these in both accuracy and drop: {best}.",
    )


def _ends(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    padding = (high - low) * PADDING or abs(low) * PADDING or 1.0
    return low - padding, high + padding
