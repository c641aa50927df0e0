"""Three families stand for the table of docs/models.md, which `make models` writes."""

import pytest

from benchmarks.families import FAMILIES
from benchmarks.models import START, TABLE, format_row, try_families

STANDING_FOR_ALL = ["qwen3", "granitemoehybrid", "mistral3"]  # shared rows, a mixture of experts, a wrapper


@pytest.mark.slow
def test_families_run_from_base_model_to_probe_as_the_table_says() -> None:
    table = TABLE.read_text(encoding="utf-8")
    # all but the last column, which is how MMLU is asked
    rows = [format_row(row).rsplit("|", 2)[0] for row in try_families(STANDING_FOR_ALL)]
    assert [row for row in rows if row not in table] == []
    assert len(rows) == len(STANDING_FOR_ALL)


def test_the_table_has_every_family() -> None:
    table = TABLE.read_text(encoding="utf-8").partition(START)[2]
    assert [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")] == list(FAMILIES)
