"""Stage `accuracy`: from margins to metrics and tables, and what it refuses."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import accuracy
from stages.decision.evidence import parse_accuracy
from stages.errors import InputError
from stages.files.io import read_json, write_jsonl
from stages.files.pairs import SplitPair, split_sha256
from stages.logprobs.margins import MarginRow
from stages.run import paths
from tests.support.margin_factory import make_row
from tests.support.pair_factory import make_pair

PARAMS = Path(__file__).parent.parent / "params.yaml"


def split_pairs(*numbers: int) -> list[SplitPair]:
    return [SplitPair(**make_pair(n).model_dump(), component_id=f"c{n}") for n in numbers]


HOLDOUT, SELECTION = split_pairs(1, 2, 3, 4), split_pairs(5)
SPLIT = split_sha256(HOLDOUT)


def margin_rows() -> list[MarginRow]:
    rows = [
        make_row(pair.pair_id, 0.1 if n % 2 else -0.1, component_id=pair.component_id, split_sha256=SPLIT)
        for n, pair in enumerate(HOLDOUT[:3])
    ]
    return [*rows, make_row(SELECTION[0].pair_id, 0.2, part="selection", split_sha256=SPLIT)]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of four held-out pairs are to be scored."""
    monkeypatch.chdir(tmp_path)
    params = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    params["size"] |= {"n_holdout_scored": 3, "n_selection_scored": "all"}
    Path("params.yaml").write_text(json.dumps(params), encoding="utf-8")
    write_jsonl(paths.HOLDOUT_PAIRS, HOLDOUT)
    write_jsonl(paths.SELECTION_PAIRS, SELECTION)


def table(name: str) -> list[dict[str, str]]:
    with (paths.ACCURACY_PLOTS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_margins_become_metrics_and_tables() -> None:
    write_jsonl(paths.MARGINS, margin_rows())
    accuracy.main()
    metrics: dict[str, Any] = read_json(paths.ACCURACY_METRICS)
    assert (metrics["holdout"]["k"], metrics["holdout"]["n"], metrics["holdout"]["k_needed"]) == (1, 3, 3)
    assert metrics["selection"]["k"] == metrics["selection"]["n"] == 1
    assert table("slices.csv")[0]["name"] == "all pairs"
    assert set(table("slices.csv")[0]) == {"kind", "name", "k", "n", "accuracy", "low", "high"}
    assert set(table("rules.csv")[0]) == set(table("slices.csv")[0])
    assert set(table("calibration.csv")[0]) == {"predicted", "observed", "low", "high", "n"}
    assert set(table("histogram.csv")[0]) == {"low", "high", "middle", "n"}
    assert sum(int(row["n"]) for row in table("histogram.csv")) == 3
    assert len(table("margins.csv")) == 3


def test_without_a_held_out_pair_the_selection_alone_is_told() -> None:
    params = json.loads(Path("params.yaml").read_text())
    params["size"]["n_holdout_scored"] = 0
    Path("params.yaml").write_text(json.dumps(params), encoding="utf-8")
    write_jsonl(paths.MARGINS, [row for row in margin_rows() if row.part == "selection"])
    accuracy.main()
    metrics = read_json(paths.ACCURACY_METRICS)
    assert set(metrics) == {"selection"}
    assert parse_accuracy(metrics) is None  # which the gate calls pending: not run
    assert table("slices.csv") == table("rules.csv") == table("margins.csv") == []


def test_nothing_in_the_metrics_is_null_or_a_list_because_dvc_would_drop_it() -> None:
    write_jsonl(paths.MARGINS, margin_rows())
    accuracy.main()
    for block in read_json(paths.ACCURACY_METRICS).values():
        assert all(isinstance(value, int | float | str) for value in block.values())


def rows_text(change: str) -> str:
    lines = [row.model_dump_json() for row in margin_rows()]
    changed = {
        "missing": lines[1:],
        "twice": [*lines, lines[0]],
        "another pair": [lines[0].replace(HOLDOUT[0].pair_id, HOLDOUT[3].pair_id), *lines[1:]],
        "nan": [lines[0].replace("-100.0", "NaN"), *lines[1:]],
        "cut": [*lines[:-1], lines[-1][:50]],
        "another split": [line.replace(SPLIT, "9" * 64) for line in lines],
        "empty": [],
    }
    return "\n".join(changed[change])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", r"holdout: 1 of 3 pairs are missing \(p0001\)"),
        ("twice", "pairs stand twice: p0001"),
        ("another pair", r"missing \(p0001\) and 1 pairs were not asked for \(p0004\)"),
        ("nan", "NaN is not a number"),
        ("cut", "line 4: not valid JSON"),
        ("another split", "belongs to another split"),
        ("empty", "no pair was scored"),
    ],
)
def test_half_the_data_gives_no_number(change: str, message: str) -> None:
    paths.MARGINS.parent.mkdir(parents=True)
    paths.MARGINS.write_text(rows_text(change), encoding="utf-8")
    with pytest.raises(InputError, match=rf"margins\.jsonl: (?s:.*{message})"):
        accuracy.main()
    assert not paths.ACCURACY_METRICS.exists()
    assert not paths.ACCURACY_PLOTS.exists()


def test_a_missing_margins_file_is_named() -> None:
    shutil.rmtree(paths.MARGINS.parent, ignore_errors=True)
    with pytest.raises(InputError, match=r"margins\.jsonl: no such file"):
        accuracy.main()
