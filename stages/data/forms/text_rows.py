"""Rows of JSONL and CSV files with the numbers of their lines; a bad line is a row that says why."""

import csv
import itertools
import json
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING

from stages.data.forms.rows import RawRow
from stages.errors import InputError
from stages.files.json_text import refuse_constant, refuse_repeated_keys

if TYPE_CHECKING:
    import _csv

MAX_LINE_BYTES = 16 * 2**20
MAX_COLUMNS = 500


def read_jsonl_rows(path: Path) -> Generator[RawRow, None, None]:
    """One JSON object a line."""
    with closing(_lines(path)) as lines:
        yield from (_row_of_json(line, raw) for line, raw in lines if raw.strip())


def _row_of_json(line: int, raw: bytes) -> RawRow:
    try:
        value = json.loads(
            raw.decode("utf-8"), parse_constant=refuse_constant, object_pairs_hook=refuse_repeated_keys
        )
    except UnicodeDecodeError as error:
        return RawRow(line, None, f"is not UTF-8 ({error.reason} at byte {error.start})")
    except (ValueError, RecursionError) as error:
        return RawRow(line, None, f"is no JSON ({error})")
    if not isinstance(value, dict):
        return RawRow(line, None, f"is a JSON {type(value).__name__}, no object")
    return RawRow(line, value)


def read_csv_rows(path: Path) -> Generator[RawRow, None, None]:
    """A header, then one row with as many cells each."""
    csv.field_size_limit(MAX_LINE_BYTES)
    with closing(_text_lines(path)) as lines:
        yield from _rows_of_csv(path, csv.reader(lines, strict=True))


def _rows_of_csv(path: Path, reader: "_csv.Reader") -> Iterator[RawRow]:
    header: list[str] = []
    before = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield RawRow(before + 1, None, f"is no CSV from here on ({error})")
            return
        line, before = before + 1, reader.line_num
        if not cells:
            continue
        if not header:
            header = _check_header(path, cells)
        else:
            yield _row_of_cells(line, header, cells)


def _row_of_cells(line: int, header: list[str], cells: list[str]) -> RawRow:
    if len(cells) != len(header):
        return RawRow(line, None, f"has {len(cells)} cells, the header has {len(header)}")
    if bad := next((cell for cell in cells if _UNDECODED in cell), None):
        return RawRow(line, None, f"is not UTF-8: {bad[:40]!r}")
    return RawRow(line, dict(zip(header, cells, strict=True)))


_UNDECODED = "\ufffd\u2060\ufffd"  # stands for bytes that are no UTF-8; no text holds it


def _check_header(path: Path, cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    if len(names) > MAX_COLUMNS:
        raise InputError(
            f"{path}: has {len(names)} columns, more than {MAX_COLUMNS}; is it a table of pairs?"
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}: line 1 names the column {twice[0]!r} twice; rename one")
    return names


def _lines(path: Path) -> Generator[tuple[int, bytes], None, None]:
    """Lines without their ends (LF or CRLF); a byte-order mark at the start is dropped."""
    with path.open("rb") as file:
        for number in itertools.count(1):
            raw = _read_line(file, path, number)
            if not raw:
                return
            yield number, (raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw).rstrip(b"\r\n")


def _text_lines(path: Path) -> Generator[str, None, None]:
    with path.open("rb") as file:
        for number in itertools.count(1):
            raw = _read_line(file, path, number)
            if not raw:
                return
            raw = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            try:
                yield raw.decode("utf-8")
            except UnicodeDecodeError:
                yield raw.decode("utf-8", "replace").replace("\ufffd", _UNDECODED)


def _read_line(file: IO[bytes], path: Path, number: int) -> bytes:
    raw = file.readline(MAX_LINE_BYTES + 1)
    if len(raw) > MAX_LINE_BYTES:
        raise InputError(
            f"{path}: line {number} is longer than {MAX_LINE_BYTES // 2**20} MiB; is it a table of pairs?"
        )
    return raw
