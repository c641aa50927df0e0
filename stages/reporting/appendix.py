"""What the founder's appendix draws: only of gates whose numbers may be used."""

from typing import NamedTuple

from stages.decision.findings import Limits
from stages.decision.verdicts import StoredGates, is_usable
from stages.reporting.accuracy_plots import CalibrationPlot, MarginsPlot, plot_calibration, plot_margins
from stages.reporting.plot_tables import (
    CalibrationBin,
    MarginOfPair,
    parse_editors,
    parse_slices,
    parse_table,
)
from stages.reporting.share_plots import SharesPlot, plot_shares


class PlotTables(NamedTuple):
    """The texts of four CSV files; `editors` has only its header until a study is complete."""

    slices: str
    calibration: str
    margins: str
    editors: str


class Appendix(NamedTuple):
    """Drawings; None where nothing was measured, or the numbers cannot be used."""

    slices: SharesPlot | None
    calibration: CalibrationPlot | None
    margins: MarginsPlot | None
    editors: SharesPlot | None


def draw_appendix(tables: PlotTables, gates: StoredGates, limits: Limits) -> Appendix:
    """Read and draw; ValueError where a table is not what its stage writes."""
    slices = calibration = margins = editors = None
    if is_usable(gates.accuracy):
        about = "The share of set-aside pairs on which the model sides with our editors, part by part."
        slices = plot_shares(parse_slices(tables.slices), target=limits.accuracy.min_share, about=about)
        calibration = plot_calibration(parse_table(tables.calibration, CalibrationBin))
        margins = plot_margins([row.margin for row in parse_table(tables.margins, MarginOfPair)])
    if is_usable(gates.winrate):
        about = "How often each editor liked the new model’s text better, a tie being half."
        editors = plot_shares(parse_editors(tables.editors), target=limits.winrate.min_share, about=about)
    return Appendix(slices, calibration, margins, editors)
