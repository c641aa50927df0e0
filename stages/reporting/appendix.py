"""The founder's appendix: plot tables of `accuracy` and `winrate`, drawn where their numbers may be used."""

from collections.abc import Iterable, Sequence
from typing import Annotated, NamedTuple, TypeVar

from pydantic import BeforeValidator

from stages.decision.findings import Limits
from stages.decision.verdicts import StoredGates, is_usable
from stages.decision.wording import count, plural
from stages.files.csv_cells import read_table
from stages.files.record import Record
from stages.reporting.accuracy_plots import (
    CalibrationBin,
    CalibrationPlot,
    MarginsPlot,
    plot_calibration,
    plot_margins,
)
from stages.reporting.share_plots import MeasuredShare, SharesPlot, plot_shares

Row = TypeVar("Row", bound=Record)

KINDS = {"editor": "By editor", "section": "By section", "length": "By length"}
MOST_ROWS_A_KIND = 12
End = Annotated[float | None, BeforeValidator(lambda cell: None if cell == "" else cell)]


class SliceRow(Record):
    """A row of data/accuracy/slices.csv; a slice of one group has no ends."""

    kind: str
    name: str
    k: int
    n: int
    accuracy: float
    low: End
    high: End


class EditorRow(Record):
    """A row of data/winrate/editors.csv."""

    editor: str
    value: float
    low: float
    high: float
    n: int
    rehearsal: bool


class MarginOfPair(Record):
    """A row of data/accuracy/margins.csv."""

    pair_id: str
    margin: float


class PlotTables(NamedTuple):
    """The texts of four CSV files; `editors` has only its header until a study is complete."""

    slices: str
    calibration: str
    margins: str
    editors: str


class AppendixTable(NamedTuple):
    """A table of another module, folded under its title; `about` says in plain words what it shows."""

    title: str
    about: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


class Appendix(NamedTuple):
    """Drawings, None where nothing was measured or the numbers cannot be used; then other modules' tables."""

    slices: SharesPlot | None
    calibration: CalibrationPlot | None
    margins: MarginsPlot | None
    editors: SharesPlot | None
    tables: tuple[AppendixTable, ...] = ()


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


def parse_slices(text: str) -> list[MeasuredShare]:
    """Accuracy by slice; of each kind at most MOST_ROWS_A_KIND, those with the most pairs."""
    rows = parse_table(text, SliceRow)
    return [
        MeasuredShare(heading, row.name, row.accuracy, row.low, row.high, f"{count(row.k)} of {count(row.n)}")
        for kind, heading in KINDS.items()
        for row in _largest([row for row in rows if row.kind == kind])
    ]


def parse_editors(text: str) -> list[MeasuredShare]:
    """Each editor's own win rate; a rehearsal's rows are no result."""
    return [
        MeasuredShare("", row.editor, row.value, row.low, row.high, plural(row.n, "task"))
        for row in parse_table(text, EditorRow)
        if not row.rehearsal
    ]


def parse_table(text: str, model: type[Row]) -> list[Row]:
    """A CSV text as rows; ValueError where one does not fit. A column too many does no harm."""
    return [model.model_validate(row) for row in read_table(text, list(model.model_fields))]


def _largest(rows: Sequence[SliceRow]) -> Iterable[SliceRow]:
    kept = sorted(rows, key=lambda row: (-row.n, row.name))[:MOST_ROWS_A_KIND]
    return sorted(kept, key=lambda row: row.name)
