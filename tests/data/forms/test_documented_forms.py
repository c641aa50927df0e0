"""Each example of the table of forms in docs/data.md is read as the pair that it shows."""

import csv
import gzip
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.data.forms.rows import read_pair
from stages.data.forms.tables import open_pairs
from tests.support.workbooks import write_ods, write_xlsx

DOCUMENT = Path(__file__).parents[3] / "docs/data.md"
ROW = re.compile(r"^\| (?P<form>[^|]+) \| (?P<endings>\.[^|]+) \| (?P<example>`.+`) \|$", re.MULTILINE)
EXAMPLES = [
    (row["form"], ending, "\n".join(re.findall(r"`([^`]+)`", row["example"])))
    for row in ROW.finditer(DOCUMENT.read_text(encoding="utf-8"))
    for ending in row["endings"].split()
]


def write(path: Path, ending: str, example: str) -> None:
    if ending == ".parquet":
        pq.write_table(pa.Table.from_pylist([json.loads(example)]), path)
    elif ending in (".xlsx", ".ods"):
        cells = list(csv.reader(example.splitlines()))
        (write_xlsx if ending == ".xlsx" else write_ods)(path, {"Sheet1": cells})
    else:
        data = f"{example}\n".encode()
        path.write_bytes(gzip.compress(data) if ending.endswith(".gz") else data)


def test_the_table_has_all_forms() -> None:
    assert len({form for form, _, _ in EXAMPLES}) == 9
    assert {ending for _, ending, _ in EXAMPLES} >= {
        ".jsonl",
        ".json",
        ".jsonl.gz",
        ".csv",
        ".parquet",
        ".xlsx",
        ".ods",
    }


@pytest.mark.parametrize(("form", "ending", "example"), EXAMPLES)
def test_an_example_is_read_as_it_says(tmp_path: Path, form: str, ending: str, example: str) -> None:
    path = tmp_path / f"pairs{ending}"
    write(path, ending, example)
    table = open_pairs(path, {})
    (pair,) = [read_pair(row, table.columns).pair for row in table.rows]
    assert pair is not None, form
    assert (pair.prompt, pair.chosen, pair.rejected) == ("Say it.", "One.", "Two.")
