"""A file of pairs, prompts or judgements, opened: which column is what, and rows under our names."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from stages.data.forms.choices import as_word, is_off_scale, read_choice
from stages.data.forms.columns import (
    PAIRS,
    PROMPTS,
    Columns,
    Form,
    field_of,
    match_columns,
    names_of,
    suggest,
)
from stages.data.forms.rows import EXCERPT, NAMES, RawRow, as_name, excerpt, is_blank, is_lost_cell
from stages.data.forms.sources import Source
from stages.errors import InputError
from stages.files.hashing import hex_digest

WHOLE = re.compile(r"-?\d+\.0+")
ESCAPED_RETURN = "_x000D_"  # how a spreadsheet's XML spells a carriage return; some exports leave it there
NO_NAME = frozenset({"n/a", "na", "#n/a", "none", "null", "nan", "nil", "-", "--", "–", "—", "?"})
MAY_BE_NOBODY = ("group_id", "editor", "section")  # fields in which such a word is no name
MAY_BE_WHOLE = frozenset({*NAMES, "prompt_id", "preferred", "choice"}) - {"reviewed_at"}
N_SHOWN = 3
MAX_NAMES = 20
MAX_WORDS = 1000  # words of choice that are counted


class Table(NamedTuple):
    """The columns of a file and its rows under our names; `rows` can be gone through again."""

    columns: Columns
    rows: Iterable[RawRow]


def open_pairs(path: Path, mapping: Mapping[str, str], sheet: str | None = None) -> Table:
    """Open a file of pairs; InputError where it cannot be read or lacks a column."""
    return open_table(path, PAIRS, mapping, sheet)


def open_prompts(path: Path) -> Table:
    """Open a file of fresh prompts; InputError where it cannot be read or lacks a column."""
    return open_table(path, PROMPTS, {})


def open_table(path: Path, form: Form, mapping: Mapping[str, str], sheet: str | None = None) -> Table:
    """Go through a file once to learn what its columns are and hold; InputError where that cannot be told."""
    source = Source(path, names_of(form, mapping), sheet)
    survey = _Survey(form, mapping)
    for row in source:
        survey.add(row)
    if not survey.n_rows:
        raise InputError(f"{path}: holds no rows; name a file of {form.what} with the columns {form.wanted}")
    if not survey.fields:
        raise InputError(f"{path}: no row can be read: line {survey.first.line}: {survey.first.problem}")
    try:
        columns = match_columns(survey.fields, form, mapping)
        if form is PAIRS and "prompt" not in columns.names and "chosen" not in survey.lists:
            raise ValueError("no column prompt")
    except ValueError as error:
        raise InputError(f"{path}: {error}; {_describe_names(survey.fields, form)}") from error
    columns = columns._replace(
        remarks=(*source.remarks, *columns.remarks, *survey.describe()),
        whole=frozenset(survey.whole - survey.other),
        odd_choices=survey.odd_choices(),
    )
    return Table(columns, Rows(source, form, columns))


class Rows:
    """The rows of a file under our names, with an id each; spellings of spreadsheets and pandas undone."""

    def __init__(self, source: Iterable[RawRow], form: Form, columns: Columns) -> None:
        self._source, self._form, self._columns = source, form, columns

    def __iter__(self) -> Iterator[RawRow]:
        """Every row, from the first."""
        seen: Counter[str] = Counter()
        names, own_id = self._columns.names.items(), self._form.id
        for row in self._source:
            if row.fields is None:
                yield row
                continue
            fields = {ours: self._clean(ours, row.fields.get(theirs)) for ours, theirs in names}
            if own_id and self._columns.names.get(own_id) not in row.fields:
                content = _content_id(fields)
                seen[content] += 1
                fields[own_id] = content if seen[content] == 1 else f"{content}-{seen[content]}"
            yield RawRow(row.line, fields)

    def _clean(self, field: str, cell: Any) -> Any:
        if not isinstance(cell, str):
            return cell
        if field in self._columns.whole:
            return cell.split(".")[0]
        if field in MAY_BE_NOBODY and _is_no_name(cell):
            return None
        return cell.replace(ESCAPED_RETURN, "") if ESCAPED_RETURN in cell else cell


class _Survey:
    """What can be said of the columns of a file only after its last row."""

    def __init__(self, form: Form, mapping: Mapping[str, str]) -> None:
        self._form, self._mapping = form, mapping
        self.n_rows, self.first = 0, RawRow(0, None)
        self.fields: dict[str, str | None] = {}  # a column's name -> our field
        self.lists, self.whole, self.other = set[str](), set[str](), set[str]()
        self._n_escaped = 0
        self._no_name: Counter[tuple[str, str]] = Counter()  # field and word
        self._n_with_id = self._n_without_id = 0
        self._choices = defaultdict[str, Counter[str]](Counter)  # word -> the editors who used it

    def add(self, row: RawRow) -> None:
        """Look at one row."""
        self.first = row if not self.n_rows else self.first
        self.n_rows += 1
        cells = {}
        for name, cell in (row.fields or {}).items():
            if name not in self.fields:
                self.fields[name] = field_of(name, self._form, self._mapping)
            if field := self.fields[name]:
                cells[field] = cell
        self._n_escaped += any(isinstance(cell, str) and ESCAPED_RETURN in cell for cell in cells.values())
        for field, cell in cells.items():
            if isinstance(cell, list):
                self.lists.add(field)
            elif field in MAY_BE_WHOLE and isinstance(cell, str) and cell.strip():
                (self.whole if WHOLE.fullmatch(cell.strip()) else self.other).add(field)
        self._n_with_id += self._form.id in cells
        self._n_without_id += row.fields is not None and self._form.id not in cells
        for field in MAY_BE_NOBODY:
            if isinstance(word := cells.get(field), str) and _is_no_name(word):
                self._no_name[field, word.strip()] += 1
        word = cells.get("preferred", cells.get("choice"))
        if not is_blank(word) and len(self._choices) < MAX_WORDS:
            self._choices[as_word(word)[:EXCERPT]][as_name(cells.get("editor")) or "no editor named"] += 1

    def odd_choices(self) -> dict[str, str]:
        """Each word that says no side and no tie: how often it came, and from whom.

        Where 0, -1 or 3 stands among them, 1 and 2 may be marks on a scale, and are odd, too.
        """
        words = {word: editors for word, editors in self._choices.items() if read_choice(word) is None}
        scale = min((word for word in words if is_off_scale(word)), default="")
        if scale:
            words |= {word: self._choices[word] for word in ("1", "2") if word in self._choices}
        beside = dict.fromkeys(("1", "2"), f", beside {scale}")
        return {
            word: f"in {editors.total()} rows{beside.get(word, '')}, of "
            f"{', '.join(dict(editors.most_common(N_SHOWN)))}"
            for word, editors in words.items()
        }

    def describe(self) -> Iterator[str]:
        """What was found and is read otherwise than it stands there."""
        if self._n_escaped:
            yield f"{ESCAPED_RETURN}, a spreadsheet's line end, is taken out of {self._n_escaped} rows."
        for (field, word), count in self._no_name.most_common(N_SHOWN):
            kind = field.removesuffix("_id")
            yield f"{field} {word!r} ({count} rows) is taken for no {kind}; rename it if it is one."
        if self._form.id and self._n_with_id and self._n_without_id:
            yield f"{self._n_without_id} rows have no {self._form.id}: theirs is made from their content."
        for field in sorted(self.whole - self.other):
            yield f"Every {field} ends in .0 and is read as a whole number."


def _is_no_name(cell: str) -> bool:
    return cell.strip().casefold() in NO_NAME or is_lost_cell(cell)


def _describe_names(present: Mapping[str, str | None], form: Form) -> str:
    close = [(name, suggest(name, form.fields)) for name in present if present[name] is None]
    meant = ", ".join(f"{ours} by {excerpt(theirs)}" for theirs, ours in close if ours)
    columns = ", ".join(map(excerpt, sorted(present)[:MAX_NAMES]))
    return f"columns are {columns}{f' (did you mean {meant}?)' if meant else ''}. Wanted: {form.wanted}"


def _content_id(fields: Mapping[str, Any]) -> str:
    """16 hex digits that depend on what a row says, not on where it stands."""
    said = {name: cell for name, cell in fields.items() if not is_blank(cell)}
    return hex_digest("row", json.dumps(said, sort_keys=True, default=str))[:16]
