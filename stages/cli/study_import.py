"""`bluepencil study import`: the win rate of judgements that another tool collected, from a CSV file.

It prints; it writes nothing into the pipeline. What was not sealed cannot pass a gate.
"""

import csv
from pathlib import Path

from pydantic import ValidationError

from stages.core.ballot_import import ImportedRow, estimate_imported
from stages.errors import InputError
from stages.io import dump_json, read_text, sha256_file

N_ERRORS_SHOWN = 5


def import_judgements(path: Path) -> None:
    """Print win rate, interval and secondary analyses as JSON; InputError names lines that do not fit."""
    rows = read_rows(path)
    try:
        imported = estimate_imported(rows, salt=sha256_file(path))
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    print(dump_json({"imported": {**imported, "sealed": False}}, indent=2))


def read_rows(path: Path) -> list[ImportedRow]:
    """Every line of the CSV file, empty cells left out."""
    rows, problems = [], []
    reader = csv.DictReader(read_text(path).splitlines())
    for number, line in enumerate(reader, start=2):
        try:
            rows.append(ImportedRow.model_validate({name: cell for name, cell in line.items() if cell != ""}))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            problems.append(f"line {number}: {place}: {first['msg']}, came {first['input']!r:.60}")
    if problems or not rows:
        shown = "\n  ".join(problems[:N_ERRORS_SHOWN]) or "no row; the header is prompt_id,editor,left,choice"
        raise InputError(f"{path}: {len(problems)} lines do not fit\n  {shown}")
    return rows
