"""The only reader and writer of JSON, JSONL, CSV and Parquet.

Equal content gives equal bytes: sorted keys, UTF-8, no NaN, a newline at the end.
Every file is written beside its place and renamed, so nobody ever reads half of one.
"""

import fcntl
import glob
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from stages.errors import InputError
from stages.files.csv_cells import format_table
from stages.files.json_text import dump_json, parse_json
from stages.files.record import first_problem

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

Row = TypeVar("Row", bound=BaseModel)

N_ERRORS_SHOWN = 5
MAX_GROWTH = 100  # text and numbers compress to a tenth, hardly ever to a hundredth
SMALL_BYTES = 16 * 2**20
WAY_OUT = "restore it (git, `dvc checkout`) or write it again (`dvc repro` where a stage makes it)"


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in `path`'s folder that takes its place only if the block succeeds."""
    _make_way(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.{os.getpid()}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # mkstemp's 0600 would follow the file into the cache
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place only if the block succeeds."""
    _make_way(path)
    prefix = f".{path.name}.{os.getpid()}."
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=prefix, suffix=".tmp"))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        for file in temporary.rglob("*"):
            if file.is_file():
                file.chmod(0o666 & ~_umask())
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _make_way(path: Path) -> None:
    """The folder, and out of it what processes left that were killed while they wrote `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        if not _is_alive(int(left.name.split(".")[-3])):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def locked_folder(path: Path) -> Iterator[None]:
    """Hold a folder against whoever else does; no file is made. Without the folder nothing is held."""
    if not path.is_dir():
        yield
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text in one step."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Mapping[str, Any] | BaseModel) -> None:
    """Write one JSON document, indented, for people and `dvc metrics`."""
    write_text(path, dump_json(_plain(value), indent=2) + "\n")


def write_jsonl(path: Path, rows: Iterable[BaseModel | Mapping[str, Any]]) -> None:
    """Write one JSON object per line, in the given order."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(dump_json(_plain(row)) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV table that DVC can plot, with no cell that a spreadsheet would compute."""
    write_text(path, format_table(header, rows))


def write_parquet(path: Path, table: "pa.Table") -> None:
    """Write an Arrow table as one Parquet file."""
    import pyarrow.parquet as pq

    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_parquet(path: Path) -> "pa.Table":
    """Read one Parquet file; InputError where it is missing or is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    _must_be_file(path)
    try:
        refuse_parquet_bomb(path, pq.read_metadata(path))
        return pq.read_table(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({error}); build it again") from error


def refuse_parquet_bomb(path: Path, metadata: "pq.FileMetaData") -> None:
    """InputError for a small file that says it grows hugely: reading it would take all memory."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
    grown = sum(max(chunk.total_uncompressed_size, chunk.num_values) for chunk in chunks)
    if grown > max(MAX_GROWTH * path.stat().st_size, SMALL_BYTES):
        raise InputError(
            f"{path}: {path.stat().st_size:,} bytes would grow to more than {grown:,}, over {MAX_GROWTH} "
            "times as much; check where it comes from"
        )


def read_json(path: Path) -> dict[str, Any]:
    """Read one JSON object; InputError where it is missing, broken or no object."""
    try:
        value = parse_json(read_text(path))
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error}); {WAY_OUT}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: a JSON object was expected, got {type(value).__name__}; {WAY_OUT}")
    return value


def read_json_if_there(path: Path) -> dict[str, Any] | InputError | None:
    """`read_json`; None where there is no file, and the error, not raised, where it is broken."""
    try:
        return read_json(path) if path.exists() else None
    except InputError as error:
        return error


def read_record(path: Path, model: type[Row]) -> Row:
    """Read one JSON object as `model`."""
    try:
        return model.model_validate(read_json(path))
    except ValidationError as error:
        raise InputError(f"{path}: {first_problem(error)}; {WAY_OUT}") from error


def read_jsonl(path: Path, model: type[Row]) -> list[Row]:
    """Read every line as `model`; InputError lists the first lines that do not fit."""
    rows: list[Row] = []
    problems: list[str] = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(model.model_validate(parse_json(line)))
        except ValidationError as error:
            problems.append(f"line {number}: {first_problem(error)}")
        except ValueError as error:
            problems.append(f"line {number}: not valid JSON ({error})")
    if problems:
        shown = "\n  ".join([*problems[:N_ERRORS_SHOWN], WAY_OUT])
        lines = "a line does" if len(problems) == 1 else f"{len(problems)} lines do"
        raise InputError(f"{path}: {lines} not fit {model.__name__}\n  {shown}")
    return rows


def read_text(path: Path, *, newline: str | None = None) -> str:
    """Read UTF-8 text; InputError where it is missing, a folder or not UTF-8. `newline` is `open`'s."""
    _must_be_file(path)
    try:
        with path.open(encoding="utf-8", newline=newline) as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not readable as UTF-8 text ({error}); save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def _must_be_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(
            f"{path}: no such file; check the path, or run `dvc repro` if a stage makes it"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{path}: is a folder, a file was expected; check the path")
    if not stat.S_ISREG(mode):  # to open a pipe would wait for ever
        raise InputError(f"{path}: is a pipe or a device, a file was expected; save it as a file first")


def _plain(value: Mapping[str, Any] | BaseModel) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
