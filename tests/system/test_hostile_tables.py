"""Parquet files made to hurt: small ones that grow hugely, and reference log-probs that would mislead."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.data.forms.sources import Source
from stages.errors import BluePencilError, InputError
from stages.files.io import read_parquet, write_parquet
from stages.logprobs.reference import ReferenceRow
from stages.logprobs.reference_table import SCHEMA, read_reference, write_reference

ROW = ReferenceRow("p1", [1, 2], [3, 4], [5], [-0.5, -0.25], [-0.125])
BOMBS: dict[str, Callable[[], pa.Table]] = {  # made when they are needed: together they hold 2 GiB
    "one long text in every row": lambda: pa.table({"chosen": ["x" * 17_000_000] * 100}),
    "one text in very many rows": lambda: pa.table({name: ["same"] * 5_000_000 for name in "abcd"}),
    "one list of very many zeros": lambda: pa.table(
        {"chosen": pa.array([[0] * 20_000_000], pa.list_(pa.int8()))}
    ),
    "very many rows of nothing": lambda: pa.table(
        {name: pa.nulls(5_000_000, pa.string()) for name in "abcd"}
    ),
}


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS.keys())
def test_a_small_file_that_grows_hugely_is_refused(tmp_path: Path, make: Callable[[], pa.Table]) -> None:
    path = tmp_path / "bomb.parquet"
    write_parquet(path, make())
    assert path.stat().st_size < 100_000
    for read in (lambda: list(Source(path, ())), lambda: read_parquet(path)):
        with pytest.raises(
            InputError, match=r"bomb\.parquet: .* would grow to more than .*check where it comes"
        ):
            read()


def test_a_row_longer_than_a_line_may_be_is_refused(tmp_path: Path) -> None:
    noise = random.Random(0).randbytes(9 * 2**20).hex()  # 18 MiB that hardly compress
    pq.write_table(pa.table({"chosen": [noise]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="longer than 16 MiB"):
        list(Source(tmp_path / "a.parquet", ()))


def test_rows_that_share_one_long_text_are_unpacked_a_few_at_a_time(tmp_path: Path) -> None:
    noise = random.Random(0).randbytes(2**20).hex()
    pq.write_table(pa.table({"chosen": [noise] * 400}), tmp_path / "a.parquet")  # 800 MiB unpacked
    before = pa.total_allocated_bytes()
    largest = 0
    for row in Source(tmp_path / "a.parquet", ()):
        assert row.fields == {"chosen": noise}
        largest = max(largest, pa.total_allocated_bytes() - before)
    assert largest < 200 * 2**20


def changed(**columns: Any) -> pa.Table:
    """A sound reference of one row, with other columns; None takes one out."""
    whole = {name: pa.array([getattr(ROW, name)], SCHEMA.field(name).type) for name in SCHEMA.names}
    return pa.table({name: column for name, column in (whole | columns).items() if column is not None})


FLOATS = pa.list_(pa.float32())
MISLEADING = {
    "no chosen_logps": changed(chosen_logps=None),
    "no pair_id": changed(pair_id=None),
    "numbers as ids": changed(pair_id=pa.array([1])),
    "no id": changed(pair_id=pa.array([None], pa.string())),
    "texts as token ids": changed(prompt_ids=pa.array([["1", "2"]])),
    "token ids of 64 bits": changed(prompt_ids=pa.array([[1, 2]], pa.list_(pa.int64()))),
    "a token id that is null": changed(chosen_ids=pa.array([[3, None]], pa.list_(pa.int32()))),
    "no log-probs for a row": changed(rejected_logps=pa.array([None], FLOATS)),
    "a log-prob that is null": changed(chosen_logps=pa.array([[-0.5, None]], FLOATS)),
    "a log-prob that is no number": changed(chosen_logps=pa.array([[-0.5, float("nan")]], FLOATS)),
    "an infinite log-prob": changed(rejected_logps=pa.array([[float("-inf")]], FLOATS)),
    "log-probs of one number": changed(chosen_logps=pa.array([-0.5], pa.float32())),
    "a pair twice": pa.concat_tables([changed(), changed()]),
}  # fmt: skip


@pytest.mark.parametrize("table", MISLEADING.values(), ids=MISLEADING.keys())
def test_a_misleading_reference_gives_no_number(tmp_path: Path, table: pa.Table) -> None:
    path = tmp_path / "logps.parquet"
    write_parquet(path, table)
    with pytest.raises(BluePencilError, match=r"dvc repro|build them again"):
        read_reference(path)


def test_a_sound_reference_is_read_as_it_was_written(tmp_path: Path) -> None:
    for rows in ([ROW], []):
        write_reference(tmp_path / "logps.parquet", rows)
        assert read_reference(tmp_path / "logps.parquet") == {row.pair_id: row for row in rows}
