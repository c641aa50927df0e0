"""The appendix's two panels, as coordinates: confidence against truth, and how strongly the model leans."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from stages.decision.wording import count
from stages.files.record import Record
from stages.reporting.interval_plot import Mark

WIDTH = 400.0  # SVG units; the two stand side by side
LEFT, RIGHT, TOP, DEEP, FOOT = 40.0, 12.0, 18.0, 190.0, 52.0  # margins, and the height inside
LARGEST_DOT = 11.0
N_BINS_A_SIDE = 12


class CalibrationBin(Record):
    """A row of data/accuracy/calibration.csv: mean confidence, share right, and pairs in a bin."""

    predicted: float
    observed: float
    n: int


class Dot(NamedTuple):
    """A bin; the area grows with the pairs in it."""

    x: float
    y: float
    radius: float


class CalibrationPlot(NamedTuple):
    """How sure (x, 50 to 100) against how often right (y, 0 to 100); `line` is where both agree."""

    height: float
    dots: list[Dot]
    line: tuple[float, float, float, float]
    x_ticks: list[Mark]
    y_ticks: list[Mark]
    x_label: str
    y_label: str
    alt: str


class Bar(NamedTuple):
    """Pairs whose margin lies in one bin; on the right side of zero the model agrees."""

    x: float
    y: float
    width: float
    height: float
    agrees: bool


class MarginsPlot(NamedTuple):
    """How strongly the model leans, over all set-aside pairs."""

    height: float
    bars: list[Bar]
    zero: float
    y_ticks: list[Mark]
    alt: str


def plot_calibration(bins: Sequence[CalibrationBin]) -> CalibrationPlot | None:
    """None where there are no bins."""
    if not bins:
        return None
    largest = max(one.n for one in bins)
    n_all = sum(one.n for one in bins)
    sure = sum(one.n * one.predicted for one in bins) / n_all
    right = sum(one.n * one.observed for one in bins) / n_all
    bottom = TOP + DEEP
    return CalibrationPlot(
        height=bottom + FOOT,
        dots=[
            Dot(_sure(one.predicted), round(bottom - one.observed * DEEP, 1), _radius(one.n, largest))
            for one in bins
        ],
        line=(_sure(0.5), bottom - DEEP / 2, _sure(1.0), TOP),
        x_ticks=[Mark(_sure(share), f"{share * 100:.0f}") for share in (0.5, 0.75, 1.0)],
        y_ticks=[Mark(round(bottom - share * DEEP, 1), f"{share * 100:.0f}") for share in (0.0, 0.5, 1.0)],
        x_label="how sure it is, of 100",
        y_label="how often it is right, of 100",
        alt=(
            f"Over {count(n_all)} pairs the model is sure in {sure * 100:.0f} of 100 cases on average, "
            f"and right in {right * 100:.0f}."
        ),
    )


def plot_margins(margins: Sequence[float]) -> MarginsPlot | None:
    """Equal bins to both sides of zero; a margin of exactly zero agrees with nobody."""
    if not margins:
        return None
    span = max(abs(margin) for margin in margins) or 1.0
    counts = [0] * (2 * N_BINS_A_SIDE)
    for margin in margins:
        counts[_bin(margin, span)] += 1
    width = (WIDTH - LEFT - RIGHT) / len(counts)
    most = max(counts)
    n_agree = sum(counts[N_BINS_A_SIDE:])
    return MarginsPlot(
        height=TOP + DEEP + FOOT,
        bars=[
            Bar(
                x=round(LEFT + number * width + 1, 1),
                y=round(TOP + DEEP * (1 - n / most), 1),
                width=round(width - 2, 1),
                height=round(DEEP * n / most, 1),
                agrees=number >= N_BINS_A_SIDE,
            )
            for number, n in enumerate(counts)
            if n
        ],
        zero=LEFT + N_BINS_A_SIDE * width,
        y_ticks=[Mark(TOP + DEEP, "0"), Mark(TOP, count(most))],
        alt=(
            f"Of {count(len(margins))} pairs, the model leans our editors’ way on {count(n_agree)} "
            f"and not on {count(len(margins) - n_agree)}."
        ),
    )


def _bin(margin: float, span: float) -> int:
    if margin > 0:
        return N_BINS_A_SIDE + min(int(margin / span * N_BINS_A_SIDE), N_BINS_A_SIDE - 1)
    return N_BINS_A_SIDE - 1 - min(int(-margin / span * N_BINS_A_SIDE), N_BINS_A_SIDE - 1)


def _sure(confidence: float) -> float:
    return round(LEFT + (confidence - 0.5) * 2 * (WIDTH - LEFT - RIGHT), 1)


def _radius(n: int, largest: int) -> float:
    return round(LARGEST_DOT * math.sqrt(n / largest), 1)
