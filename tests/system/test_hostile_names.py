"""Names that become paths: an editor, a study, a ballot, a file of a release. None leads out of its folder."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from stages import winrate
from stages.cli.study.app import verify
from stages.errors import BluePencilError, ParamsError, StudyError
from stages.files.io import read_json
from stages.release.lineage import Number
from stages.release.registry import settle_version
from stages.run import paths
from stages.run.params import load_params
from stages.study.ballots import Answer, write_ballot
from stages.study.collecting import collect_ballot
from stages.study.folder import study_folder
from stages.study.opening import open_study, refuse_continuing
from stages.study.prereg import Prereg, prereg_from
from stages.study.seal import Commitment, commitment_bytes, seal
from tests.support.hostile_factory import snapshot
from tests.support.study_factory import make_world, page_data

NAMES: dict[str, Any] = {
    "a folder above": "../../../tmp/evil",
    "an absolute path": "/tmp/evil",
    "a folder of its own": "a/b",
    "a hidden file": ".git",
    "an option": "-rf",
    "a drive": "c:evil",
    "a device": "nul\0",
    "an empty name": "",
    "a long name": "a" * 300,
    "a line of its own": "a\nb",
    "capitals": "Ann",
    "markup": "<script>",
    "a number": 3,
    "a list": ["a"],
}
TEXTS = {what: name for what, name in NAMES.items() if isinstance(name, str)}


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """An open study, whose secret nothing that was printed tells."""
    (tmp_path / "repository").mkdir()
    study_id = make_world(tmp_path / "repository", monkeypatch)
    open_study(continues="")
    secret = (Path("secrets") / study_id).read_text().strip()
    assert secret not in "".join(capsys.readouterr())
    return study_id


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_an_editor_of_params_has_a_name_that_can_be_a_file(
    name: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_world(tmp_path, monkeypatch)
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["study"]["editors"] = ["ann", "ben", name]
    Path("params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(ParamsError, match=r"study\.editors\.2"):
        load_params()


@pytest.mark.parametrize("name", TEXTS.values(), ids=TEXTS.keys())
def test_nor_can_a_study_that_came_from_elsewhere_name_another(opened: str, name: str) -> None:
    sealed = json.loads((study_folder(opened) / "commitment.json").read_text())
    with pytest.raises(ValidationError):
        Commitment.model_validate({**sealed, "pages": {name: sealed["pages"]["editor-1"]}})
    prereg = yaml.safe_load((study_folder(opened) / "prereg.yaml").read_text())
    with pytest.raises(ValidationError):
        Prereg.model_validate({**prereg, "editors": [name]})


@pytest.mark.parametrize("name", TEXTS.values(), ids=TEXTS.keys())
def test_a_ballot_by_anybody_else_is_not_put_anywhere(opened: str, name: str, tmp_path: Path) -> None:
    data = page_data(study_folder(opened) / "ballot-editor-1.html")
    header = {key: data[key] for key in ("study_id", "page_id", "key_sha256", "synthetic")}
    answers = [
        Answer(slot_id=screen["slot_id"], choice="tie", strength="", reasons=[], note="")
        for screen in data["screens"]
    ]
    sent = tmp_path / "sent.json"
    sent.write_bytes(write_ballot(**header, editor=name, answers=answers))
    before = snapshot(tmp_path)
    with pytest.raises(StudyError, match="no editor of this study"):
        collect_ballot(sent, receipt="")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", [*TEXTS.values(), "0123456789AB", "rehearsal-", "0123456789ab/.."])
def test_a_study_is_named_by_its_id_and_by_no_path(opened: str, name: str) -> None:
    if name:  # without a name it is the current study
        with pytest.raises(StudyError, match="is no study's id"):
            verify(name)
    with pytest.raises(StudyError, match="is no study's id"):
        refuse_continuing(name, [], prereg_from(load_params()))


def test_a_commitment_that_continues_a_path_is_invalid(opened: str) -> None:
    path = study_folder(opened) / "commitment.json"
    sealed = json.loads(path.read_text())
    path.write_bytes(commitment_bytes(seal({**sealed, "continues": "../../elsewhere"})))
    winrate.main()
    assert read_json(paths.WINRATE_METRICS)["winrate"]["status"] == "invalid"


@pytest.mark.parametrize("name", ["/etc/passwd", "../params.yaml", "metrics/../../x", ".."])
def test_a_release_lists_nothing_outside_of_itself(name: str) -> None:
    with pytest.raises(ValidationError, match="leads out of the release"):
        Number(file=name, name="a", value=1)


@pytest.mark.parametrize("version", ["v1.0.0/../../x", "../v1.0.0", "v1.0.0\nx", "1.0.0", "", "v1"])
def test_a_version_is_a_version(version: str) -> None:
    with pytest.raises(BluePencilError, match="no semantic version"):
        settle_version("policy", "HEAD", version)
