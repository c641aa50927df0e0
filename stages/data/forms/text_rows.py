"""Rows of JSON, JSONL and CSV files with the numbers of their lines; a bad line is a row that says why."""

import csv
import gzip
import itertools
import re
import zlib
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import closing
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, cast

from stages.data.forms.columns import column_key
from stages.data.forms.rows import RawRow, excerpt
from stages.errors import InputError
from stages.files.io import MAX_GROWTH, SMALL_BYTES
from stages.files.json_text import parse_json

MAX_LINE_BYTES = 16 * 2**20
MAX_COLUMNS = 500
MAX_NAME = 200  # a longer cell is no name of a column
N_ROWS_ABOVE_HEADER = 10
DELIMITERS = ",;\t|"
NOT_UTF8 = re.compile("[\udc80-\udcff]+")  # what surrogateescape makes of bytes that are no UTF-8
# Signs that texts hold often; in the wrong encoding the same bytes are others.
TYPICAL = re.compile("[‘’“”–—…•£€éèêëàâäáçñóôöúüûíîïßøåæœÉÀÄÖÜ]")


def read_json_rows(path: Path) -> Iterator[RawRow]:
    """One JSON object a line, or one array of objects, whose rows are then counted from 1."""
    may_be_array = ".json" in (suffix.lower() for suffix in path.suffixes)
    longest = max(MAX_GROWTH * path.stat().st_size, SMALL_BYTES) if may_be_array else MAX_LINE_BYTES
    with closing(read_lines(path, longest)) as lines:
        first = next((pair for pair in lines if pair[1].strip()), None)
        if first is not None and may_be_array and first[1].lstrip().startswith("["):
            yield from _rows_of_array(path, first[1] + "".join(text for _, text in lines))
        elif first is not None:
            yield from (_row_of_json(*line) for line in itertools.chain([first], lines) if line[1].strip())


def _rows_of_array(path: Path, text: str) -> Iterator[RawRow]:
    if bad := describe_bad_bytes(text):
        raise InputError(f"{path}: {bad}")
    try:
        values = parse_json(text)
    except ValueError as error:
        raise InputError(f"{path}: is no JSON ({error}); write it again") from error
    for number, value in enumerate(values, start=1):
        yield _row_of_value(number, value)


def _row_of_json(line: int, text: str) -> RawRow:
    if bad := describe_bad_bytes(text):
        return RawRow(line, None, bad)
    try:
        return _row_of_value(line, parse_json(text))
    except ValueError as error:
        return RawRow(line, None, f"is no JSON ({error})")


def _row_of_value(line: int, value: object) -> RawRow:
    if isinstance(value, dict):
        return RawRow(line, value)
    way_out = "; give a file that is one array the ending .json" if isinstance(value, list) else ""
    return RawRow(line, None, f"is a JSON {type(value).__name__}, no object{way_out}")


def read_csv_rows(path: Path, known: Collection[str], remarks: list[str]) -> Iterator[RawRow]:
    """A header, then one row with as many cells each; the sign between cells is told by the header.

    `known` are names of columns, see `names_of`.
    """
    csv.field_size_limit(MAX_LINE_BYTES)
    with closing(read_lines(path)) as numbered:
        lines = (text for _, text in numbered)
        start = list(itertools.islice(lines, N_ROWS_ABOVE_HEADER))
        says = start[0].rstrip("\r\n") if start and start[0].lower().startswith("sep=") else ""
        start = start[1:] if says else start
        delimiter = says[4:5] or _find_delimiter(start, known)
        if delimiter != ",":
            remarks.append(f"Cells are separated by {'tabs' if delimiter == chr(9) else delimiter}.")
        reader = csv.reader(itertools.chain(start, lines), strict=True, delimiter=delimiter)
        yield from rows_of_cells(path, _records(reader, 1 + bool(says)), known, remarks)


def _find_delimiter(lines: Sequence[str], known: Collection[str]) -> str:
    """The sign that splits a line near the top into the most names that we know, else into the most cells."""

    def score(delimiter: str) -> tuple[int, int]:
        rows = [next(csv.reader([line], delimiter=delimiter), []) for line in lines]
        return max(((count_known(row, known), len(row)) for row in rows), default=(0, 0))

    return max(DELIMITERS, key=score)


def _records(reader: Any, line: int) -> Iterator[tuple[int, list[str] | str]]:
    """Each record with the line on which it starts, or the reason why the rest is none."""
    before = reader.line_num
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line + before, f"is no CSV from here on ({error})"
            return
        yield line + before, cells
        before = reader.line_num


def rows_of_cells(
    path: Path, records: Iterator[tuple[int, Any]], known: Collection[str], remarks: list[str]
) -> Iterator[RawRow]:
    """Rows of a table. Titles above the header, the header once more, blank rows and nameless empty columns
    are left out.
    """
    top = list(itertools.islice(records, N_ROWS_ABOVE_HEADER))
    place = max(range(len(top)), key=lambda row: (count_known(top[row][1], known), -row), default=0)
    for line, cells in top[:place]:
        if _is_filled(cells):
            said = excerpt(" ".join(map(str, cells)).strip())
            remarks.append(f"Line {line} stands above the header and is not read: {said}.")
    header: list[str] = []
    names = set[str]()
    n_blank, again = 0, list[int]()
    for line, cells in itertools.chain(top[place:], records):
        if isinstance(cells, str):
            yield RawRow(line, None, cells)
        elif not _is_filled(cells):
            n_blank += bool(cells)
        elif not header:
            header = _check_header(path, line, cells)
            names = {*known, *_name_columns(header)}
        elif not _is_header(cells, names):
            yield _row_of_cells(line, header, cells)
        elif _name_columns(cells) == _name_columns(header):
            again.append(line)
        else:
            yield RawRow(line, None, "names other columns; what is below belongs into a file of its own")
    if again:
        more = f" So do {len(again) - 1} others." if again[1:] else ""
        remarks.append(f"Line {again[0]} repeats the header and is not read.{more}")
    if n_blank:
        remarks.append(f"{n_blank} blank rows are not read.")


def count_known(cells: Any, known: Collection[str]) -> int:
    """Cells that are the name of a column; a header has no more than MAX_COLUMNS."""
    return 0 if isinstance(cells, str) else len({*_name_columns(cells[:MAX_COLUMNS])}.intersection(known))


def _name_columns(cells: Sequence[Any]) -> list[str]:
    """What is compared of a header, also of one behind the byte-order mark of a second file."""
    names = [column_key(str(cell).lstrip("\ufeff").strip('"')) for cell in cells]
    while names and not names[-1]:
        names.pop()
    return names


def _is_header(cells: list[Any], names: Collection[str]) -> bool:
    """Is every filled cell the name of a column? Most rows are told by their first cell."""
    return all(
        len(cell) <= MAX_NAME and column_key(cell.lstrip("\ufeff").strip('"')) in names
        for cell in map(str, cells)
        if cell.strip()
    )


def _is_filled(cells: Any) -> bool:
    return isinstance(cells, str) or any(not isinstance(cell, str) or cell.strip() for cell in cells)


def _row_of_cells(line: int, header: list[str], cells: list[Any]) -> RawRow:
    last = max(place for place, name in enumerate(header, start=1) if name)
    if len(cells) < last or _is_filled(cells[len(header) :]):
        return RawRow(line, None, f"has {len(cells)} cells, the header has {last}")
    if bad := next(filter(None, map(describe_bad_bytes, cells)), None):
        return RawRow(line, None, bad)
    named = enumerate(zip(header, cells, strict=False), start=1)
    return RawRow(
        line, {name or f"column {place}": cell for place, (name, cell) in named if name or str(cell).strip()}
    )


def _check_header(path: Path, line: int, cells: list[Any]) -> list[str]:
    names = [str(cell).strip() for cell in cells]
    if bad := describe_bad_bytes(" ".join(names)):
        raise InputError(f"{path}: line {line}: {bad}")
    if len(names) > MAX_COLUMNS:
        raise InputError(
            f"{path}: has {len(names)} columns, more than {MAX_COLUMNS}; is it a table of pairs?"
        )
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise InputError(f"{path}: line {line} names the column {twice[0]!r} twice; rename one")
    return names


def describe_bad_bytes(cell: object) -> str:
    """Where a text is no UTF-8, in context, and in which encoding it seems to be; empty where it is."""
    if not isinstance(cell, str) or cell.isascii() or not (match := NOT_UTF8.search(cell)):
        return ""
    around = cell[max(match.start() - 20, 0) : match.end() + 20].encode("utf-8", "surrogateescape")
    likely = {
        name: around.decode(encoding, "replace")
        for encoding, name in (("cp1252", "Windows-1252"), ("mac_roman", "Mac Roman"))
    }
    best = max(likely, key=lambda name: len(TYPICAL.findall(likely[name])))
    if not TYPICAL.search(likely[best]):
        return f"is not UTF-8 at {around!r}; save the file as UTF-8 (a spreadsheet: CSV UTF-8)"
    return (
        f"is not UTF-8 at {likely[best].strip()!r}, which is how it reads in {best}, the likely encoding; "
        "save the file as UTF-8 (a spreadsheet: CSV UTF-8)"
    )


def read_lines(path: Path, longest: int = MAX_LINE_BYTES) -> Generator[tuple[int, str], None, None]:
    """Lines (ended by LF, CRLF or CR) with their numbers, unpacked where the name ends in .gz.

    Bytes that are no UTF-8 come as `NOT_UTF8`; a byte-order mark is dropped.
    """
    with path.open("rb") as raw:
        packed = gzip.GzipFile(fileobj=raw) if path.suffix.lower() == ".gz" else raw
        text = TextIOWrapper(cast(IO[bytes], packed), "utf-8-sig", "surrogateescape", newline="")
        n_read = 0
        for number in itertools.count(1):
            line = _read_line(text, path, number, longest)
            if not line:
                return
            n_read += len(line)
            if packed is not raw and n_read > max(MAX_GROWTH * path.stat().st_size, SMALL_BYTES):
                raise InputError(
                    f"{path}: grows to over {MAX_GROWTH} times its size; check where it comes from"
                )
            yield number, line


def _read_line(text: TextIOWrapper, path: Path, number: int, longest: int) -> str:
    try:
        line = text.readline(longest + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: is no whole gzip file ({error}); pack it again") from error
    if len(line) > longest:
        raise InputError(
            f"{path}: line {number} is longer than {longest // 2**20} MiB; is it a table of pairs?"
        )
    return line
