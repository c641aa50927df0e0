"""Reference log-probs as a Parquet table: float32 numbers, int32 token ids."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from stages.errors import InputError
from stages.files.io import read_parquet, write_parquet
from stages.logprobs.reference import ReferenceRow

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
    columns = [list(values) for values in zip(*rows, strict=True)] if rows else [[] for _ in SCHEMA]
    write_parquet(path, pa.table(columns, schema=SCHEMA))


def read_reference(path: Path) -> dict[str, ReferenceRow]:
    """All rows, by pair id; InputError for a column that is not as written, or an id that stands twice."""
    table = read_parquet(path)
    wrong = [name for name in SCHEMA.names if not _is_sound(table, name)]
    if wrong:
        raise InputError(
            f"{path}: {', '.join(wrong)}: missing, of another type than {SCHEMA.field(wrong[0]).type}, or "
            "with nulls or numbers that are not finite; run `dvc repro -f reference`"
        )
    columns = [table[name].to_pylist() for name in SCHEMA.names]
    rows = {row.pair_id: row for row in map(ReferenceRow, *columns)}
    if len(rows) < len(table):
        raise InputError(
            f"{path}: {len(table) - len(rows)} pair ids stand twice; run `dvc repro -f reference`"
        )
    return rows


def _is_sound(table: pa.Table, name: str) -> bool:
    """One column of this name, of our type, without nulls and with finite numbers only."""
    if table.column_names.count(name) != 1 or table[name].type != SCHEMA.field(name).type:
        return False
    column = table[name]
    values = column.combine_chunks().flatten() if pa.types.is_list(column.type) else column
    if column.null_count or values.null_count:
        return False
    return not pa.types.is_floating(values.type) or pc.all(pc.is_finite(values)).as_py() is not False
