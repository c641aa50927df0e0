"""Shares with their likely ranges, one below the other, as coordinates for an SVG drawing."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from stages.decision.wording import in_hundred
from stages.reporting.interval_plot import Mark

WIDTH = 640.0  # SVG units, of a drawing of rows
LABELS, COUNTS = 190.0, 90.0  # room for words left and right of the rows
ROW, HEAD, FOOT = 22.0, 20.0, 26.0  # heights
TOP = 18.0
LABEL_LENGTH = 30


class MeasuredShare(NamedTuple):
    """A share with its range, if any, under a heading; `counted` is what it was counted over, in words."""

    kind: str
    name: str
    value: float
    low: float | None
    high: float | None
    counted: str


class ShareRow(NamedTuple):
    """A line of the drawing: `y` of its middle, the share and its range as x."""

    y: float
    label: str
    value: float
    low: float
    high: float
    counted: str


class Heading(NamedTuple):
    """What the rows below have in common."""

    y: float
    label: str


class SharesPlot(NamedTuple):
    """Shares with their likely ranges, one below the other, on one scale from 0 to 1."""

    height: float
    rows: list[ShareRow]
    headings: list[Heading]
    target: Mark
    ticks: list[Mark]
    alt: str


def plot_shares(shares: Sequence[MeasuredShare], *, target: Fraction, about: str) -> SharesPlot | None:
    """Rows under the heading of their kind, in the given order; None where there are none."""
    if not shares:
        return None
    rows, headings, y = list[ShareRow](), list[Heading](), TOP
    for number, share in enumerate(shares):
        if share.kind and (number == 0 or share.kind != shares[number - 1].kind):
            headings.append(Heading(y + HEAD * 0.75, share.kind))
            y += HEAD
        rows.append(
            ShareRow(
                y=y + ROW / 2,
                label=_shorten(share.name),
                value=_place(share.value),
                low=_place(share.value if share.low is None else share.low),
                high=_place(share.value if share.high is None else share.high),
                counted=share.counted,
            )
        )
        y += ROW
    least, most = min(shares, key=lambda one: one.value), max(shares, key=lambda one: one.value)
    return SharesPlot(
        height=y + FOOT,
        rows=rows,
        headings=headings,
        target=Mark(_place(float(target)), f"target {in_hundred(target)}"),
        ticks=[Mark(_place(share), f"{share * 100:.0f}") for share in (0.0, 0.5, 1.0)],
        alt=(
            f"{about} Lowest: {_tell(least)}. Highest: {_tell(most)}. "
            f"Target: more than {in_hundred(target)} of 100."
        ),
    )


def _place(share: float) -> float:
    return round(LABELS + share * (WIDTH - LABELS - COUNTS), 1)


def _shorten(name: str) -> str:
    return name if len(name) <= LABEL_LENGTH else name[: LABEL_LENGTH - 1] + "…"


def _tell(share: MeasuredShare) -> str:
    between = "its range cannot be told"
    if share.low is not None and share.high is not None:
        between = f"likely {share.low * 100:.0f} to {share.high * 100:.0f}"
    return f"{share.name}, {share.value * 100:.0f} of 100 ({between})"
