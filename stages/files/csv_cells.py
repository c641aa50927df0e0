"""Text in CSV cells: a spreadsheet must show it, never compute it.

A cell that starts as a formula does gets an apostrophe in front, as OWASP advises against CSV
injection; `restore` is the inverse. Numbers are no text and stay as they are.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import Any

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def disarm(cell: object) -> object:
    """The cell as it is written; one that has an apostrophe already gets another."""
    if isinstance(cell, str) and cell.lstrip("'").startswith(FORMULA_STARTS):
        return f"'{cell}"
    return cell


def restore(cell: str) -> str:
    """The text that `disarm` was given."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(FORMULA_STARTS) else cell


def format_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A CSV table, one line a row; `read_table` reads every text back."""
    stream = StringIO(newline="")
    plain = csv.writer(stream, lineterminator="\n")
    quoting = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in (header, *rows):
        cells = [disarm(cell) for cell in row]
        has_return = any(isinstance(cell, str) and "\r" in cell for cell in cells)
        (quoting if has_return else plain).writerow(cells)  # the plain one takes \r for no end of line
    return stream.getvalue()


def read_table(text: str, columns: list[str]) -> Iterator[dict[str, str]]:
    """The `columns` of each row; ValueError where one is missing or a row is cut off."""
    reader = csv.DictReader(StringIO(text, newline=""), strict=True)
    try:
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"has no column {', '.join(missing)}")
        for row in reader:
            if None in row or None in row.values():
                raise ValueError(f"line {reader.line_num} has more or fewer cells than the header")
            yield {name: restore(row[name]) for name in columns}
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num} is no CSV: {error}") from error
