"""Shares with their likely ranges, one below the other, as percentages of a width."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from stages.decision.wording import in_hundred
from stages.reporting.bars import Axis, Mark

WHOLE = Axis(0, 100, 25)


class MeasuredShare(NamedTuple):
    """A share with its range, if any, under a heading; `counted` is what it was counted over, in words."""

    kind: str
    name: str
    value: float
    low: float | None
    high: float | None
    counted: str


class ShareRow(NamedTuple):
    """A line of the drawing; `heading` is what it and the rows below have in common, or nothing."""

    heading: str
    label: str
    value: float
    low: float
    high: float
    counted: str


class SharesPlot(NamedTuple):
    """Shares with their likely ranges, one below the other, on one scale from 0 to 100."""

    rows: list[ShareRow]
    target: Mark
    ticks: list[Mark]
    alt: str


def plot_shares(shares: Sequence[MeasuredShare], *, target: Fraction, about: str) -> SharesPlot | None:
    """Rows under the heading of their kind, in the given order; None where there are none."""
    if not shares:
        return None
    before = ["", *(share.kind for share in shares)]
    rows = [
        ShareRow(
            heading=share.kind if share.kind != last else "",
            label=share.name,
            value=WHOLE.place(share.value),
            low=WHOLE.place(share.value if share.low is None else share.low),
            high=WHOLE.place(share.value if share.high is None else share.high),
            counted=share.counted,
        )
        for share, last in zip(shares, before, strict=False)
    ]
    least, most = min(shares, key=lambda one: one.value), max(shares, key=lambda one: one.value)
    return SharesPlot(
        rows=rows,
        target=Mark(WHOLE.place(float(target)), f"target {in_hundred(target)}"),
        ticks=[Mark(WHOLE.place(tick / 100), str(tick)) for tick in WHOLE.ticks()],
        alt=(
            f"{about} Lowest: {_tell(least)}. Highest: {_tell(most)}. "
            f"Target: more than {in_hundred(target)} of 100."
        ),
    )


def _tell(share: MeasuredShare) -> str:
    between = "its range cannot be told"
    if share.low is not None and share.high is not None:
        between = f"likely {share.low * 100:.0f} to {share.high * 100:.0f}"
    return f"{share.name}, {share.value * 100:.0f} of 100 ({between})"
