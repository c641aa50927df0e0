"""`bluepencil study harvest`."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stages.cli.app import app
from stages.cli.study.harvest import harvest
from stages.cli.study.rehearse import rehearse_study
from stages.cli.study.reveal import reveal
from stages.data.forms.tables import open_pairs
from stages.errors import HarvestError, InputError, StudyError
from stages.run import paths
from stages.study.folder import ballots_folder, study_folder
from stages.study.opening import open_study
from stages.study.simulation import Habits, Truth
from tests.support.study_factory import always, hand_in, make_world, prefers

N_SHOWN = 22  # of 24 prompts one is identical and one void
EDITORS = {"editor-1": prefers("POLICYTEXT"), "editor-2": prefers("BASETEXT"), "editor-3": always("tie")}
TARGET = Path("data/raw/pairs.jsonl")


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    study_id = make_world(tmp_path, monkeypatch)
    open_study(continues="")
    hand_in(study_id, EDITORS)
    return study_id


@pytest.fixture
def revealed(opened: str) -> str:
    reveal(despite_missing="")
    return opened


def rows(path: Path = TARGET) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_pairs(*pairs: dict[str, Any]) -> None:
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))


def test_every_vote_becomes_a_row_with_the_texts_as_shown(revealed: str) -> None:
    harvest(TARGET)
    found = rows()
    assert len(found) == 3 * N_SHOWN
    for row in found:
        preferred = {"a": row["paragraph_a"], "b": row["paragraph_b"]}.get(row["preferred"])
        if row["editor"] == "editor-3":
            assert row["preferred"] == "tie"
        else:
            assert preferred
            assert ("POLICYTEXT" in preferred) == (row["editor"] == "editor-1")
        assert row["prompt"] == f"Write paragraph {row['group_id'].removeprefix(f'{revealed}/')}."
        assert row["source"] == f"study/{revealed}"
        assert row["synthetic"] is False
    assert len({row["pair_id"] for row in found}) == len(found)
    assert {row["group_id"].split("/")[1] for row in found}.isdisjoint({"p003", "p005"})  # identical, void
    sides = [row["paragraph_a"] for row in found if row["editor"] == "editor-1"]
    assert {"POLICYTEXT" in side for side in sides} == {True, False}  # the sides as drawn, not the key's


def test_it_needs_nothing_that_git_does_not_have(revealed: str) -> None:
    paths.BLIND_ITEMS.unlink()
    for model in ("base", "policy"):
        paths.generations(model).unlink()
    harvest(TARGET, revealed)
    assert len(rows()) == 3 * N_SHOWN


def test_the_rows_go_after_those_that_are_there_in_their_form_and_names(revealed: str) -> None:
    write_pairs({"pair_id": "x1", "prompt": "P", "better": "A b.", "rejected": "C d."})
    Path("params.yaml").write_text(
        Path("params.yaml").read_text()
        .replace("columns: {}", "columns: {better: chosen}")
        .replace("pairs: data/sample/pairs.jsonl", f"pairs: {TARGET}")
    )  # fmt: skip
    TARGET.write_bytes(before := TARGET.read_bytes().rstrip(b"\n"))
    harvest(TARGET)
    assert TARGET.read_bytes().startswith(before + b"\n{")
    found = rows()[1:]
    assert len(found) == 2 * N_SHOWN  # ties cannot be said here
    for row in found:
        assert ("POLICYTEXT" in row["better"]) == (row["editor"] == "editor-1")
        assert row["chosen_shown"] in ("left", "right")


def test_pairs_without_ids_are_read_as_before_beside_the_votes(revealed: str) -> None:
    write_pairs({"prompt": "Say P.", "chosen": "A b.", "rejected": "C d."})
    (before,) = [row.fields for row in open_pairs(TARGET, {}).rows]
    harvest(TARGET)
    first, *votes = [row.fields or {} for row in open_pairs(TARGET, {}).rows]
    assert before is not None
    assert first["pair_id"] == before["pair_id"]
    assert len(votes) == 2 * N_SHOWN
    assert all(vote["pair_id"].startswith(revealed) for vote in votes)


def test_a_link_stays_one_and_the_file_behind_it_grows(revealed: str) -> None:
    write_pairs({"pair_id": "x1", "prompt": "P", "chosen": "A b.", "rejected": "C d."})
    link = Path("mine.jsonl")
    link.symlink_to(TARGET)
    harvest(link)
    assert link.is_symlink()
    assert len(rows()) == 1 + 2 * N_SHOWN


def test_a_link_into_dvcs_cache_is_refused(revealed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pairs({"pair_id": "x1", "prompt": "P", "chosen": "A b.", "rejected": "C d."})
    monkeypatch.setattr("stages.cli.study.harvest.cache_folder", lambda: TARGET.parent.resolve())
    link, before = Path("mine.jsonl"), TARGET.read_bytes()
    link.symlink_to(TARGET)
    with pytest.raises(InputError, match="run `dvc unprotect mine.jsonl` first"):
        harvest(link)
    assert TARGET.read_bytes() == before


def test_ties_that_the_form_cannot_say_are_counted_aloud(
    revealed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs({"pair_id": "x1", "prompt": "P", "chosen": "A b.", "rejected": "C d."})
    harvest(TARGET)
    assert f"{N_SHOWN} ties are left out" in "".join(capsys.readouterr())


def test_before_the_reveal_it_is_refused_with_exit_code_1(opened: str) -> None:
    result = CliRunner().invoke(app, ["study", "harvest", "--to", str(TARGET)])
    assert isinstance(result.exception, HarvestError)
    assert result.exception.exit_code == 1
    assert "the key is not revealed" in str(result.exception)
    assert not TARGET.exists()


def test_the_second_time_is_refused_and_changes_nothing(revealed: str) -> None:
    harvest(TARGET)
    before = TARGET.read_bytes()
    with pytest.raises(HarvestError, match=f"line 1 has source study/{revealed}: it is harvested already"):
        harvest(TARGET)
    assert TARGET.read_bytes() == before


def test_a_study_whose_files_do_not_fit_gives_nothing(revealed: str) -> None:
    page = study_folder(revealed) / "ballot-editor-1.html"
    page.write_text(page.read_text().replace("BASETEXT", "POLICYTEXT"))
    with pytest.raises(StudyError, match=r"nothing is harvested\n.*ballot-editor-1.html: differs"):
        harvest(TARGET)
    assert not TARGET.exists()


def test_only_lines_of_json_can_be_added_to(revealed: str) -> None:
    with pytest.raises(InputError, match=r"pairs.csv: ends in '.csv'; rows are appended to .jsonl"):
        harvest(Path("pairs.csv"))


def test_the_day_is_that_on_which_git_got_the_ballots(revealed: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "study", "data/ballots"], ["commit", "-q", "-m", "ballots"]):
        subprocess.run(
            ["git", *identity, *command], check=True, env={"GIT_COMMITTER_DATE": "2026-03-04T12:00:00"}
        )
    assert ballots_folder(revealed).is_dir()
    harvest(TARGET)
    assert {row["reviewed_at"] for row in rows()} == {"2026-03-04"}


def test_a_rehearsals_rows_are_marked_synthetic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study_id = make_world(tmp_path, monkeypatch)
    rehearse_study(Habits(Truth(0.6, 0.1, 0.4), 0.0, 0.0), seed=1)
    harvest(TARGET, f"rehearsal-{study_id}")
    assert len(rows()) == 3 * N_SHOWN
    assert all(row["synthetic"] for row in rows())
    assert {row["source"] for row in rows()} == {f"study/rehearsal-{study_id}"}
