"""The appendix's two panels, as percentages: confidence against truth, and how strongly the model leans."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from stages.decision.wording import count
from stages.files.record import Record
from stages.reporting.bars import Mark

LARGEST_DOT = 1.5  # rem across
N_BINS_A_SIDE = 12


class CalibrationBin(Record):
    """A row of data/accuracy/calibration.csv: mean confidence, share right, and pairs in a bin."""

    predicted: float
    observed: float
    n: int


class Dot(NamedTuple):
    """A bin: percent from the left and from below; its width in rem, the area growing with its pairs."""

    x: float
    y: float
    width: float


class CalibrationPlot(NamedTuple):
    """How sure (x, 50 to 100) against how often right (y, 0 to 100)."""

    dots: list[Dot]
    x_ticks: list[Mark]
    y_ticks: list[Mark]
    alt: str


class Column(NamedTuple):
    """Pairs whose margin lies in one bin; on the right side of zero the model agrees."""

    height: float
    agrees: bool


class MarginsPlot(NamedTuple):
    """How strongly the model leans, over all set-aside pairs; the middle is zero."""

    columns: list[Column]
    most: str
    alt: str


def plot_calibration(bins: Sequence[CalibrationBin]) -> CalibrationPlot | None:
    """None where there are no bins."""
    if not bins:
        return None
    largest = max(one.n for one in bins)
    n_all = sum(one.n for one in bins)
    sure = sum(one.n * one.predicted for one in bins) / n_all
    right = sum(one.n * one.observed for one in bins) / n_all
    return CalibrationPlot(
        dots=[
            Dot(
                round((one.predicted - 0.5) * 200, 1),
                round(one.observed * 100, 1),
                round(LARGEST_DOT * math.sqrt(one.n / largest), 2),
            )
            for one in bins
        ],
        x_ticks=[Mark((tick - 50) * 2, str(tick)) for tick in (50, 75, 100)],
        y_ticks=[Mark(tick, str(tick)) for tick in (0, 50, 100)],
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
    n_agree = sum(counts[N_BINS_A_SIDE:])
    return MarginsPlot(
        columns=[
            Column(round(n / max(counts) * 100, 1), agrees=number >= N_BINS_A_SIDE)
            for number, n in enumerate(counts)
        ],
        most=count(max(counts)),
        alt=(
            f"Of {count(len(margins))} pairs, the model leans our editors’ way on {count(n_agree)} "
            f"and not on {count(len(margins) - n_agree)}."
        ),
    )


def _bin(margin: float, span: float) -> int:
    if margin > 0:
        return N_BINS_A_SIDE + min(int(margin / span * N_BINS_A_SIDE), N_BINS_A_SIDE - 1)
    return N_BINS_A_SIDE - 1 - min(int(-margin / span * N_BINS_A_SIDE), N_BINS_A_SIDE - 1)
