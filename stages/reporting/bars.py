"""A result with its likely range against a line, as percentages of a width."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

from stages.decision.wording import in_hundred
from stages.files.json_text import as_written

STEPS = (1, 2, 5, 10, 20, 25, 50)  # between round ticks
MOST_GAPS = 5
NARROWEST, A_LETTER, BETWEEN = 250.0, 8.0, 10.0  # pixels: the bar on a small phone, and what its labels need
MINUS = "−"


class Mark(NamedTuple):
    """A place, in percent of the width from the left, and what stands there."""

    at: float
    label: str


class Bar(NamedTuple):
    """Left is worse, right of `line` is good. Without a range, low and high are the value."""

    value: float
    low: float
    high: float
    line: Mark
    ends: list[Mark]
    ticks: list[Mark]
    alt: str


class Axis(NamedTuple):
    """The part of a scale that is drawn, in hundredths."""

    start: int
    end: int
    step: int

    def place(self, share: float) -> float:
        """Percent of the width; what lies outside stands at the edge."""
        inside = min(max(share * 100, self.start), self.end)
        return round((inside - self.start) / (self.end - self.start) * 100, 2)

    def ticks(self) -> list[int]:
        """Round numbers from one edge to the other."""
        return list(range(self.start, self.end + 1, self.step))


def draw_share(
    value: float, low: float | None, high: float | None, *, target: Fraction, chance: Fraction, alt: str
) -> Bar:
    """A share from 0 to 1; the axis holds chance, the target and the range."""
    shown = [one for one in (low, high, value) if one is not None]
    axis = focus([*shown, float(chance), float(target)], least=0, most=100)
    ends = [] if low is None or high is None else [low, high]
    return _draw(value, ends, axis, line=target, line_word="target", alt=alt, name=in_hundred)


def draw_change(drop: float, low: float, high: float, *, limit: Fraction, alt: str) -> Bar:
    """A drop, turned round so that a loss lies left of nothing and a gain right of it."""
    axis = focus([-drop, -low, -high, 0.0, -float(limit) * 1.5], least=-100, most=100)
    return _draw(-drop, [-high, -low], axis, line=-limit, line_word="limit", alt=alt, name=signed)


def focus(shares: Sequence[float], *, least: int, most: int) -> Axis:
    """The narrowest axis between round ticks, MOST_GAPS of them at most, that holds all shares."""
    low, high = min(shares) * 100, max(shares) * 100
    for step in STEPS:
        start = max(math.floor(low / step) * step, least)
        end = min(math.ceil(high / step) * step, most)
        if end - start <= MOST_GAPS * step:
            return Axis(start, max(end, start + step), step)
    return Axis(least, most, (most - least) // 4)


def signed(share: Fraction) -> str:
    """A change in points with its sign: `+0.5`, `−1.5`, `0`."""
    text = in_hundred(abs(share))
    return text if text == "0" else f"{MINUS if share < 0 else '+'}{text}"


def part_labels(low: Mark, high: Mark) -> list[Mark]:
    """Both labels, or one for both in their middle where they would touch on a small phone."""
    return [low, high] if _right_edge(low) + BETWEEN <= _left_edge(high) else [_join(low, high)]


def _join(low: Mark, high: Mark) -> Mark:
    label = low.label if low.label == high.label else f"{low.label} to {high.label}"
    return Mark(round((low.at + high.at) / 2, 2), label)


def _left_edge(mark: Mark) -> float:
    """A label is moved left by as many percent of itself as it stands from the left: it never leaves."""
    return mark.at / 100 * (NARROWEST - A_LETTER * len(mark.label))


def _right_edge(mark: Mark) -> float:
    return _left_edge(mark) + A_LETTER * len(mark.label)


def _draw(
    value: float,
    ends: Sequence[float],
    axis: Axis,
    *,
    line: Fraction,
    line_word: str,
    alt: str,
    name: Callable[[Fraction], str],
) -> Bar:
    low, high = (ends[0], ends[-1]) if ends else (value, value)
    marks = [Mark(axis.place(end), name(as_written(end))) for end in ends]
    return Bar(
        value=axis.place(value),
        low=axis.place(low),
        high=axis.place(high),
        line=Mark(axis.place(float(line)), f"{line_word} {name(line)}"),
        ends=part_labels(*marks) if marks else [],
        ticks=[
            Mark(axis.place(tick / 100), name(Fraction(tick, 100)))
            for tick in axis.ticks()
            if Fraction(tick, 100) != line  # the line says so itself
        ],
        alt=alt,
    )
