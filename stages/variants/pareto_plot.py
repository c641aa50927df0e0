"""Accuracy against what it costs, one dot a variant, as percentages of a field."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from stages.reporting.bars import Mark
from stages.variants.variants import Variant, on_the_frontier

MOST_STEPS = 5
PADDING = 0.2  # of a step, on both sides
A_LINE, HIGHEST = 6.5, 98.0  # percent of the height: a line of letters, and where the last one may stand
MOST_NAMED = 12  # of more variants, only those that none beats are named


class Reach(NamedTuple):
    """The two ends of a range."""

    low: float
    high: float


class Dot(NamedTuple):
    """A variant: its place in percent, its name where there is room, and whether nothing beats it."""

    name: str
    x: float
    y: float
    name_y: float
    is_named: bool
    on_frontier: bool
    reach: Reach | None  # of its range, in percent of the height


class Point(NamedTuple):
    """A variant's cost, its accuracy and, where it is drawn, the range of that."""

    name: str
    cost: float
    accuracy: float
    reach: Reach | None = None


class ParetoPlot(NamedTuple):
    """One panel: dots and round ticks, in percent; a name stands left of a dot right of `middle`."""

    title: str
    dots: list[Dot]
    x_ticks: list[Mark]
    y_ticks: list[Mark]
    middle: float
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
    heights = [share for point in points for share in (point.accuracy, *(point.reach or ()))]
    x, y = _Scale([point.cost for point in points]), _Scale([share * 100 for share in heights])
    names_y = part_names([y.place(point.accuracy * 100) for point in points])
    dots = [
        Dot(
            name=point.name,
            x=x.place(point.cost),
            y=y.place(point.accuracy * 100),
            name_y=name_y,
            is_named=len(points) <= MOST_NAMED or point.name in frontier,
            on_frontier=point.name in frontier,
            reach=point.reach and Reach(*(y.place(share * 100) for share in point.reach)),
        )
        for point, name_y in zip(points, names_y, strict=True)
    ]
    best = ", ".join(dot.name for dot in dots if dot.on_frontier) or "none"
    return ParetoPlot(
        title=title,
        dots=dots,
        x_ticks=x.ticks(),
        y_ticks=y.ticks(),
        middle=50.0,
        x_label=x_label,
        y_label="held-out accuracy, of 100 (up is better)",
        alt=f"{title}, {len(dots)} variants. None beats these in both accuracy and drop: {best}.",
    )


def part_names(heights: Sequence[float]) -> list[float]:
    """Where names stand so that no two are nearer than A_LINE: from below, each pushed up."""
    placed: dict[int, float] = {}
    free = 0.0
    for number in sorted(range(len(heights)), key=lambda number: heights[number]):
        placed[number] = max(heights[number], free)
        free = placed[number] + A_LINE
    over = max(0.0, free - A_LINE - HIGHEST)
    return [round(placed[number] - over, 2) for number in range(len(heights))]


class _Scale:
    """Round ticks around all values, and places between the first and the last in percent."""

    def __init__(self, values: Sequence[float]) -> None:
        spread = max(values) - min(values) or abs(values[0]) or 1.0
        power = 10.0 ** math.floor(math.log10(spread))
        self.step = next(
            power * part for part in (0.2, 0.5, 1, 2, 5) if spread / (power * part) <= MOST_STEPS
        )
        self.first = math.floor(min(values) / self.step - PADDING)
        self.last = math.ceil(max(values) / self.step + PADDING)

    def place(self, value: float) -> float:
        return round((value / self.step - self.first) / (self.last - self.first) * 100, 2)

    def ticks(self) -> list[Mark]:
        n_decimals = max(0, -math.floor(math.log10(self.step)))
        every = math.ceil((self.last - self.first) / MOST_STEPS)
        return [
            Mark(self.place(number * self.step), f"{number * self.step:.{n_decimals}f}")
            for number in range(self.first, self.last + 1, every)
        ]
