"""Anchors come from a file, and what cannot serve as one is named before a study opens."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from stages.cli.study.app import app
from stages.errors import InputError, StudyError
from stages.run.params import load_params
from stages.study.opening import read_anchors
from stages.study.prereg import OLD_ANCHORS, parse_prereg
from tests.support.study_factory import ANCHORS, make_world, page_data, study_folder


def use_anchors(folder: Path, rows: list[dict[str, str]]) -> None:
    path = folder / "anchors.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    params["study"]["anchors"] = str(path)
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def row(name: str, **changed: str) -> dict[str, str]:
    return {
        "name": name,
        "prompt": f"Task {name}.",
        "better": f"Good {name}.",
        "worse": f"Bad {name}.",
    } | changed


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([row("a"), row("b", worse="Good  b.")], "line 2, b: both texts are equal, so neither is worse"),
        ([row("a"), row("a", better="Other.", worse="Worse.")], "line 2: the name a stands twice"),
        ([row("a"), row("b", worse="Good a.")], "line 2, b: a text of it stands in another anchor"),
        ([row("a")], "has 1 anchors, and study.n_anchors is 2"),
    ],
)
def test_anchors_that_show_nothing_are_refused_and_nothing_is_opened(
    tmp_path, monkeypatch, rows, problem
) -> None:
    study_id = make_world(tmp_path, monkeypatch)
    use_anchors(tmp_path, rows)
    with pytest.raises(StudyError, match=problem):
        read_anchors(load_params())
    with pytest.raises(StudyError):
        CliRunner().invoke(app, ["open"], catch_exceptions=False)
    assert not study_folder(study_id).exists()


def test_a_line_that_is_no_anchor_is_named(tmp_path, monkeypatch) -> None:
    make_world(tmp_path, monkeypatch)
    use_anchors(tmp_path, [row("a"), {"name": "b"}])
    with pytest.raises(InputError, match="line 2"):
        read_anchors(load_params())


def test_a_study_shows_the_anchors_of_the_file_and_seals_their_names(tmp_path, monkeypatch) -> None:
    study_id = make_world(tmp_path, monkeypatch)
    use_anchors(tmp_path, [row("tea"), row("ink")])
    CliRunner().invoke(app, ["open"], catch_exceptions=False)
    screens = page_data(study_folder(study_id) / "ballot-editor-1.html")["screens"]
    shown = {screen["prompt"] for screen in screens}
    assert {"Task tea.", "Task ink."} <= shown
    prereg = parse_prereg((study_folder(study_id) / "prereg.yaml").read_bytes())
    assert prereg is not None
    assert prereg.anchors == ["tea", "ink"]


def test_the_anchors_of_the_sample_are_those_that_older_studies_drew_from() -> None:
    assert [anchor.name for anchor in ANCHORS] == OLD_ANCHORS
