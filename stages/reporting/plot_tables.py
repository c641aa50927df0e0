"""The plot tables of `accuracy` and `winrate`, read for the founder's appendix."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from stages.decision.wording import count, plural
from stages.files.csv_cells import read_table
from stages.files.record import Record

Row = TypeVar("Row", bound=Record)

KINDS = {"editor": "By editor", "section": "By section", "length": "By length"}
MOST_ROWS_A_KIND = 12


class MeasuredShare(NamedTuple):
    """A share with its range under a heading; `counted` is what it was counted over, in words."""

    kind: str
    name: str
    value: float
    low: float
    high: float
    counted: str


class CalibrationBin(Record):
    """A row of data/accuracy/calibration.csv: mean confidence, share right, and pairs in a bin."""

    predicted: float
    observed: float
    n: int


class SliceRow(Record):
    """A row of data/accuracy/slices.csv."""

    kind: str
    name: str
    k: int
    n: int
    accuracy: float
    low: float
    high: float


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
