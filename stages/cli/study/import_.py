"""`bluepencil study import`: the win rate of judgements that another tool collected.

It prints; it writes nothing into the pipeline. What was not sealed cannot pass a gate.
"""

import csv
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path

from pydantic import ValidationError

from stages.errors import InputError
from stages.files.io import read_text, sha256_file
from stages.files.json_text import dump_json, parse_json
from stages.study.imported import ImportedRow, Judged, estimate_imported, read_export

N_ERRORS_SHOWN = 5
HEADER = "prompt_id,editor,left,choice"


def import_judgements(path: Path, sides: Path | None) -> None:
    """Print win rate, interval and secondary analyses as JSON; InputError names places that do not fit.

    `path` is a CSV table, or Label Studio's JSON export, for which `sides` may say what the tasks do not.
    """
    rows = read_rows(path, sides)
    try:
        imported = estimate_imported(rows, salt=sha256_file(path))
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    print(dump_json({"imported": {**imported, "sealed": False}}, indent=2))


def read_rows(path: Path, sides: Path | None) -> list[ImportedRow]:
    """Every judgement of the file; empty cells are left out."""
    rows, problems = [], []
    for judged in read_judged(path, sides):
        if judged.problem:
            problems.append(f"{judged.place}: {judged.problem}")
            continue
        try:
            rows.append(ImportedRow.model_validate(judged.cells))
        except ValidationError as error:
            problems.append(f"{judged.place}: {first_problem(error)}")
    if problems or not rows:
        if not problems:
            raise InputError(f"{path}: holds no judgement; the header of a table is {HEADER}, check the file")
        shown = "\n  ".join(problems[:N_ERRORS_SHOWN])
        raise InputError(f"{path}: {len(problems)} judgements do not fit; correct them\n  {shown}")
    return rows


def read_judged(path: Path, sides: Path | None) -> Iterator[Judged]:
    """The judgements as they stand in the file, told by the ending of its name."""
    if path.suffix.lower() == ".json":
        try:
            yield from read_export(parse_json(read_text(path)), read_sides(sides) if sides else {})
        except ValueError as error:
            raise InputError(
                f"{path}: is no export in Label Studio's format JSON ({error}); export it again"
            ) from error
    elif sides is not None:
        raise InputError(f"{path}: --sides goes with Label Studio's JSON export; a table has a column `left`")
    else:
        yield from read_table(path)


def read_sides(path: Path) -> dict[str, Mapping[str, str]]:
    """prompt id -> its line; InputError where a prompt has two."""
    sides: dict[str, Mapping[str, str]] = {}
    for judged in read_table(path):
        prompt_id = judged.cells.get("prompt_id", "")
        if prompt_id in sides:
            raise InputError(f"{path}: {judged.place}: prompt {prompt_id!r} has a line already; keep one")
        sides[prompt_id] = judged.cells
    return sides


def read_table(path: Path) -> Iterator[Judged]:
    """Every line of a CSV file, empty cells left out."""
    reader = csv.DictReader(StringIO(read_text(path).removeprefix("\ufeff"), newline=""))
    try:
        for line in reader:
            yield Judged(f"line {reader.line_num}", {str(name): cell for name, cell in line.items() if cell})
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: is no CSV ({error})") from error


def first_problem(error: ValidationError) -> str:
    """The field, what is wrong with it and what came."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    came = "" if first["type"] == "missing" else f", came {first['input']!r:.60}"
    return f"{place}: {first['msg']}{came}"
