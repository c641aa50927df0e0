"""Stage `labels`: wrong labels rank high, nothing but the ranking is written, and torch is not needed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from stages import labels as stage
from stages.errors import InputError
from stages.files.io import write_json, write_jsonl
from stages.files.pairs import SplitPair
from stages.labelling.doubt import doubt_labels
from stages.run import paths
from tests.support.pair_factory import make_pair
from tests.support.pipeline_picture import ROOT

GOOD, BAD = ("clear", "brief", "warm", "plain"), ("vague", "long", "cold", "grand")


def make_split_pair(number, *, flipped=False, **fields):
    """The better text is clear and brief, the other vague and long; a flipped label says the reverse."""
    words = [
        f"The {kind[number % 4]} and {kind[(number + 1) % 4]} plan of town {number} is here."
        for kind in (GOOD, BAD)
    ]
    better, worse = words[::-1] if flipped else words
    pair = make_pair(number, chosen=better, rejected=worse, **fields)
    return SplitPair(component_id=f"c{number}", **dict(pair))


FLIPPED = {3, 17, 31, 44, 58}


def write_world(n=80):
    pairs = [make_split_pair(number, flipped=number in FLIPPED, editor="ann") for number in range(n)]
    write_jsonl(paths.TRAIN_PAIRS, pairs[:60])
    write_jsonl(paths.SELECTION_PAIRS, pairs[60:])
    known = {"status": "known", "low": 0.73, "high": 0.84, "lowest": 0.7, "highest": 0.9}
    write_json(paths.SPLIT_METRICS, {"split": {"train_ceiling": known}})
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["labels"]["n_doubtful"] = 5
    Path("params.yaml").write_text(yaml.safe_dump(params))


def test_wrong_labels_are_the_most_doubtful_and_the_page_shows_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_world()
    stage.main()
    ranking = [json.loads(line) for line in paths.DOUBT.read_text().splitlines()]
    assert len(ranking) == 80
    assert {int(row["pair_id"][1:]) for row in ranking[:5]} == FLIPPED
    assert {row["part"] for row in ranking} == {"train", "selection"}
    page = paths.LABELS_REPORT.read_text()
    assert all(f"p{number:04d}" in page for number in FLIPPED)
    assert page.count("Was preferred") == 5
    found = json.loads(paths.LABELS_METRICS.read_text())["labels"]
    assert (found["label_smoothing_low"], found["label_smoothing_high"]) == (0.16, 0.27)
    assert "from 0.16 to 0.27" in page


def test_a_pairs_own_component_teaches_nothing_about_it():
    pairs = [make_split_pair(number) for number in range(40)]
    twins = [
        pair.model_copy(update={"pair_id": "twin", "chosen": pair.rejected, "rejected": pair.chosen})
        for pair in pairs[:1]
    ]
    found = doubt_labels([*pairs, *twins], salt="s")
    assert found.doubt[-1] > 0.5  # its only like is its twin, which says the opposite and is in its component
    assert found.doubt[-1] == pytest.approx(1 - found.doubt[0])
    assert np.all((found.doubt > 0) & (found.doubt < 1))


def test_too_few_components_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_world()
    pairs = [make_split_pair(n).model_copy(update={"component_id": "one"}) for n in range(9)]
    write_jsonl(paths.TRAIN_PAIRS, pairs)
    write_jsonl(paths.SELECTION_PAIRS, [])
    with pytest.raises(InputError, match="add pairs of other prompts and groups"):
        stage.main()
    assert not paths.DOUBT.exists()


def test_the_stage_loads_no_torch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_world(30)
    program = "import sys; from stages.labels import main; main(); print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "False"
