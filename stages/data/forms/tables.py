"""Rows of JSONL, CSV and Parquet files, one at a time, with their line numbers.

A row that cannot be read comes as such; a file that cannot be read is an InputError.
"""

import itertools
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from stages.data.forms.rows import Columns, RawRow, resolve_columns
from stages.data.forms.text_rows import MAX_LINE_BYTES, read_csv_rows, read_jsonl_rows
from stages.errors import InputError
from stages.files.io import refuse_parquet_bomb

N_ROWS_FOR_COLUMNS = 100  # JSONL rows whose keys together are the columns
N_ROWS_PER_BATCH = 500
MAX_BATCH_BYTES = 64 * 2**20

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
        rows.close()
        raise InputError(
            f"{path}: {error}; columns are {', '.join(map(repr, sorted(present)[:20]))}. Wanted: pair_id, "
            "prompt and chosen, rejected (or paragraph_a, paragraph_b, preferred); map other names in "
            "params.yaml `data.columns` as theirs: ours, or with --columns theirs=ours"
        ) from error
    return Table(columns, itertools.chain(first, rows))


def read_rows(path: Path) -> Generator[RawRow, None, None]:
    """Every row of a file; its kind is told by the ending of its name."""
    refuse_unreadable(path)
    kinds = {
        ".jsonl": read_jsonl_rows,
        ".ndjson": read_jsonl_rows,
        ".csv": read_csv_rows,
        ".parquet": _read_parquet,
    }
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
        if path.exists() and not path.is_file():  # opening a pipe would wait, and rows are read twice
            raise InputError(f"{path}: is a pipe or a device, a file was expected; save it as a file first")
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
        raise InputError(
            f"{path}: is empty; at least one row is wanted, so put the rows there or name another file in "
            "params.yaml `data`"
        )


def _read_parquet(path: Path) -> Generator[RawRow, None, None]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
        if twice := sorted({name for name in schema.names if schema.names.count(name) > 1}):
            raise InputError(f"{path}: names the column {twice[0]!r} twice; rename one")
        texts = [field.name for field in schema if field.type in (pa.string(), pa.large_string())]
        number = itertools.count(1)
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_count_rows_at_once(path, texts)):
                for fields in batch.to_pylist():
                    yield RawRow(next(number), fields)
    except (pa.ArrowException, OSError, ValueError, OverflowError, LookupError) as error:
        raise InputError(f"{path}: is no readable Parquet file ({error}); write it again") from error


def _count_rows_at_once(path: Path, texts: Sequence[str]) -> int:
    """Rows that may be unpacked together, fewer where a row may hold a text of many bytes.

    In a few bytes a file can say that one text, kept once, stands in each of a million rows.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    longest = 0
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        refuse_parquet_bomb(path, file.metadata)
        for group in range(file.num_row_groups):
            first = next(file.iter_batches(batch_size=1, row_groups=[group]), None)
            columns = first.columns if first is not None else []
            kept = [column.dictionary for column in columns if pa.types.is_dictionary(column.type)]
            longest = max(longest, sum(pc.max(pc.binary_length(texts)).as_py() or 0 for texts in kept))
    if longest > MAX_LINE_BYTES:
        raise InputError(
            f"{path}: a row is longer than {MAX_LINE_BYTES // 2**20} MiB; is it a table of pairs?"
        )
    return max(1, min(N_ROWS_PER_BATCH, MAX_BATCH_BYTES // max(1, longest)))
