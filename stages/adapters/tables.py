"""Rows of JSONL, CSV and Parquet files, one at a time, with their line numbers.

A row that cannot be read comes as such; a file that cannot be read is an InputError.
"""

import csv
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from stages.core.raw_rows import Columns, RawRow, resolve_columns
from stages.errors import InputError

MAX_LINE_BYTES = 16 * 2**20
N_ROWS_FOR_COLUMNS = 100  # JSONL rows whose keys together are the columns
N_ROWS_PER_BATCH = 500
MAX_COLUMNS = 500

MAGIC = {
    b"\x1f\x8b": "is compressed (gzip)",
    b"PK": "is a zip archive or a spreadsheet",
    b"\xff\xfe": "is UTF-16",
    b"\xfe\xff": "is UTF-16",
    b"\xd0\xcf\x11\xe0": "is an old spreadsheet",
    b"BZh": "is compressed (bzip2)",
    b"\xfd7zXZ": "is compressed (xz)",
    b"\x28\xb5\x2f\xfd": "is compressed (zstd)",
}


class Table(NamedTuple):
    """The columns of a file and its rows; `rows` can be used once."""

    columns: Columns
    rows: Iterator[RawRow]


def open_pairs(path: Path, mapping: Mapping[str, str]) -> Table:
    """Open a file of pairs; InputError where it cannot be read or lacks a column."""
    rows = read_rows(path)
    first = list(itertools.islice(rows, N_ROWS_FOR_COLUMNS))
    present = dict.fromkeys(name for row in first if row.fields is not None for name in row.fields)
    if not first:
        raise InputError(f"{path}: holds no rows; name a file with pairs in `data.pairs`")
    if not present:
        raise InputError(f"{path}: no row can be read: line {first[0].line}: {first[0].problem}")
    try:
        columns = resolve_columns(list(present), mapping)
    except ValueError as error:
        raise InputError(
            f"{path}: {error}; columns are {', '.join(map(repr, sorted(present)[:20]))}. Wanted: pair_id, "
            "prompt and chosen, rejected (or paragraph_a, paragraph_b, preferred); map other names in "
            "params.yaml `data.columns` as theirs: ours, or with --columns theirs=ours"
        ) from error
    return Table(columns, itertools.chain(first, rows))


def read_rows(path: Path) -> Iterator[RawRow]:
    """Every row of a file; its kind is told by the ending of its name."""
    refuse_unreadable(path)
    kinds = {".jsonl": _read_jsonl, ".ndjson": _read_jsonl, ".csv": _read_csv, ".parquet": _read_parquet}
    read = kinds.get(path.suffix.lower())
    if read is None:
        raise InputError(
            f"{path}: ends in {path.suffix or 'nothing'!r}; .jsonl, .csv or .parquet was expected"
        )
    return read(path)


def refuse_unreadable(path: Path) -> None:
    """InputError for what is missing, a folder, not permitted, compressed, UTF-16 or no text."""
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder, a file was expected")
        with path.open("rb") as file:
            start = file.read(4096)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; check `data` in params.yaml") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if path.suffix.lower() == ".parquet":
        return
    for magic, what in MAGIC.items():
        if start.startswith(magic):
            raise InputError(f"{path}: {what}; unpack it, or save it as UTF-8 text")
    if start.startswith(b"PAR1"):
        raise InputError(f"{path}: is a Parquet file; give it the ending .parquet")
    if start.count(b"\0") > len(start) // 8:
        raise InputError(f"{path}: is no text (UTF-16 or binary); save it as UTF-8")
    if not start.strip():
        raise InputError(f"{path}: is empty")


def _read_jsonl(path: Path) -> Iterator[RawRow]:
    for line, raw in _lines(path):
        if not raw.strip():
            continue
        try:
            value = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
        except UnicodeDecodeError as error:
            yield RawRow(line, None, f"is not UTF-8 ({error.reason} at byte {error.start})")
        except (ValueError, RecursionError) as error:
            yield RawRow(line, None, f"is no JSON ({error})")
        else:
            is_object = isinstance(value, dict)
            yield RawRow(
                line,
                value if is_object else None,
                "" if is_object else f"is a JSON {type(value).__name__}, no object",
            )


def _read_csv(path: Path) -> Iterator[RawRow]:
    csv.field_size_limit(MAX_LINE_BYTES)
    reader = csv.reader(_text_lines(path), strict=True)
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
        elif len(cells) != len(header):
            yield RawRow(line, None, f"has {len(cells)} cells, the header has {len(header)}")
        elif bad := next((cell for cell in cells if "\ufffd" in cell and _UNDECODED in cell), None):
            yield RawRow(line, None, f"is not UTF-8: {bad[:40]!r}")
        else:
            yield RawRow(line, dict(zip(header, cells, strict=True)))


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


def _read_parquet(path: Path) -> Iterator[RawRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number = itertools.count(1)
            for batch in file.iter_batches(batch_size=N_ROWS_PER_BATCH):
                for fields in batch.to_pylist():
                    yield RawRow(next(number), fields)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is no readable Parquet file ({error}); write it again") from error


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines without their ends (LF or CRLF); a byte-order mark at the start is dropped."""
    with path.open("rb") as file:
        for number in itertools.count(1):
            raw = _read_line(file, path, number)
            if not raw:
                return
            yield number, (raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw).rstrip(b"\r\n")


def _text_lines(path: Path) -> Iterator[str]:
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


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")
