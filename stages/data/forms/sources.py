"""Rows of a file of any kind, one at a time, with their line numbers.

A row that cannot be read comes as such; a file that cannot be read is an InputError.
"""

import itertools
import zipfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from stages.data.forms.rows import RawRow
from stages.data.forms.text_rows import (
    MAX_LINE_BYTES,
    N_ROWS_ABOVE_HEADER,
    count_known,
    read_csv_rows,
    read_json_rows,
    rows_of_cells,
)
from stages.errors import InputError
from stages.files.io import MAX_GROWTH, SMALL_BYTES, refuse_parquet_bomb

N_ROWS_PER_BATCH = 500
MAX_BATCH_BYTES = 64 * 2**20
JSON_ENDINGS, CSV_ENDINGS = (".jsonl", ".ndjson", ".json"), (".csv", ".tsv")
WORKBOOK_ENDINGS = (".xlsx", ".ods", ".xlsm", ".xls", ".xlsb")
ENDINGS = ".jsonl, .json, .csv, .tsv (each also with .gz), .parquet, .xlsx or .ods"

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


class Source:
    """A file of rows, read anew each time it is gone through. `remarks` are what a reading found odd.

    `known` are the names by which a table's header is found, see `names_of`.
    """

    def __init__(self, path: Path, known: Collection[str], sheet: str | None = None) -> None:
        self.path, self.known, self.sheet = path, known, sheet
        self.remarks: list[str] = []

    def __iter__(self) -> Iterator[RawRow]:
        """Every row; the kind of the file is told by the ending of its name."""
        self.remarks = []
        refuse_unreadable(self.path)
        if self.path.suffix.lower() in WORKBOOK_ENDINGS:
            return _read_workbook(self.path, self.sheet, self.known, self.remarks)
        if self.sheet is not None:
            raise InputError(f"{self.path}: has no sheets, {self.sheet!r} was named; set data.sheet to null")
        kind = _kind(self.path)
        if kind in JSON_ENDINGS:
            return read_json_rows(self.path)
        if kind in CSV_ENDINGS:
            return read_csv_rows(self.path, self.known, self.remarks)
        if kind == ".parquet":
            return _read_parquet(self.path)
        raise InputError(f"{self.path}: ends in {self.path.suffix or 'nothing'!r}; {ENDINGS} was expected")


def _kind(path: Path) -> str:
    """The ending in small letters, before .gz for what can be packed."""
    endings = [ending.lower() for ending in path.suffixes]
    packed = endings[-1:] == [".gz"] and endings[-2:-1] and endings[-2] in JSON_ENDINGS + CSV_ENDINGS
    return endings[-2] if packed else endings[-1] if endings else ""


def refuse_unreadable(path: Path) -> None:
    """InputError for what is missing, a folder, not permitted, compressed, UTF-16 or no text."""
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder, a file was expected; check the path")
        if path.exists() and not path.is_file():  # opening a pipe would wait, and rows are read twice
            raise InputError(f"{path}: is a pipe or a device, a file was expected; save it as a file first")
        with path.open("rb") as file:
            start = file.read(4096)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; check `data` in params.yaml") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if path.suffix.lower() in (".parquet", ".gz", *WORKBOOK_ENDINGS):
        return
    for magic, what in MAGIC.items():
        if start.startswith(magic):
            raise InputError(f"{path}: {what}; give it the ending of what it is, or save it as UTF-8 text")
    if start.startswith(b"PAR1"):
        raise InputError(f"{path}: is a Parquet file; give it the ending .parquet")
    if start.count(b"\0") > len(start) // 8:
        raise InputError(f"{path}: is no text (UTF-16 or binary); save it as UTF-8")
    if not start.strip():
        raise InputError(
            f"{path}: is empty; at least one row is wanted, so put the rows there or name another file in "
            "params.yaml `data`"
        )


def _read_workbook(
    path: Path, sheet: str | None, known: Collection[str], remarks: list[str]
) -> Iterator[RawRow]:
    """The rows of the named sheet, or of the only one that has rows; lines are the sheet's."""
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    try:
        _refuse_zip_bomb(path)
        with CalamineWorkbook.from_path(path) as book:
            names = book.sheet_names
            if sheet is not None and sheet not in names:
                raise InputError(
                    f"{path}: has no sheet {sheet!r}; its sheets are {', '.join(map(repr, names))}"
                )
            tables = {
                name: book.get_sheet_by_name(name).to_python(skip_empty_area=False)
                for name in ([sheet] if sheet is not None else names)
            }
    except PasswordError as error:
        raise InputError(f"{path}: is locked by a password; save it without one") from error
    except (CalamineError, zipfile.BadZipFile, OSError, ValueError) as error:
        raise InputError(
            f"{path}: is no readable spreadsheet ({error}); save it again, or as CSV UTF-8"
        ) from error
    filled = {name: table for name, table in tables.items() if table}
    ours = {
        name: table
        for name, table in filled.items()
        if any(count_known(row, known) > 1 for row in table[:N_ROWS_ABOVE_HEADER])
    }
    one = filled if len(filled) == 1 else ours
    if len(one) > 1:
        raise InputError(
            f"{path}: has rows in the sheets {', '.join(map(repr, one))}; name one in `data.sheet` "
            "or with --sheet, or save it as a workbook of its own"
        )
    if not one and filled:
        raise InputError(
            f"{path}: no sheet has our columns; its sheets are {', '.join(map(repr, names))}. Name one in "
            "`data.sheet` or with --sheet; map its columns in `data.columns` or with --columns theirs=ours"
        )
    for name, table in one.items():
        if len(filled) > 1:
            remarks.append(f"Sheet {name!r} is read; the others hold none of our columns.")
        yield from rows_of_cells(path, enumerate(map(list, table), start=1), known, remarks)


def _refuse_zip_bomb(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        grown = sum(entry.file_size for entry in archive.infolist())
    if grown > max(MAX_GROWTH * path.stat().st_size, SMALL_BYTES):
        raise InputError(f"{path}: would grow to {grown:,} bytes, over {MAX_GROWTH} times as much; check it")


def _read_parquet(path: Path) -> Iterator[RawRow]:
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
