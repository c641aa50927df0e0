"""Reference log-probs as a Parquet table: float32 numbers, int32 token ids."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from stages.core.reference import ReferenceRow, from_columns, to_columns
from stages.io import read_parquet, write_parquet

SCHEMA = pa.schema(
    [
        ("pair_id", pa.string()),
        ("prompt_ids", pa.list_(pa.int32())),
        ("chosen_ids", pa.list_(pa.int32())),
        ("rejected_ids", pa.list_(pa.int32())),
        ("chosen_logps", pa.list_(pa.float32())),
        ("rejected_logps", pa.list_(pa.float32())),
    ]
)


def write_reference(path: Path, rows: Sequence[ReferenceRow]) -> None:
    """Write one row a pair, in the given order."""
    write_parquet(path, pa.table(to_columns(rows), schema=SCHEMA))


def read_reference(path: Path) -> dict[str, ReferenceRow]:
    """Read all rows, by pair id."""
    table = read_parquet(path)
    return from_columns({name: table[name].to_pylist() for name in table.column_names})
