import json
import re
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stages import winrate
from stages.cli.study.app import app
from stages.errors import StudyError
from stages.files.hashing import sha256_hex
from stages.files.io import read_json
from stages.run import paths
from stages.study.folder import ballots_folder, page_file, study_folder
from tests.support.study_factory import answer_page, hand_in, make_world, page_data, prefers

EDITORS = ("editor-1", "editor-2", "editor-3")


def study(*arguments: str) -> str:
    """Run the command; an error of ours comes out as it is."""
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return make_world(tmp_path, monkeypatch)


@pytest.fixture
def opened(world: str) -> str:
    study("open")
    return world


def secret_of(study_id: str) -> Path:
    return Path("secrets") / study_id


def test_a_whole_round_from_open_to_win_rate(opened: str, tmp_path: Path) -> None:
    for name, taste in zip(EDITORS, ("POLICYTEXT", "POLICYTEXT", "BASETEXT"), strict=True):
        data = answer_page(study_folder(opened) / page_file(name), prefers(taste))
        sent = tmp_path / f"{name} (1).json"
        sent.write_bytes(data)
        spaced = " ".join(sha256_hex(data)[i : i + 8] for i in range(0, 64, 8))
        study("collect", str(sent), "--receipt", spaced)
    study("reveal")
    winrate.main()
    metrics = read_json(paths.WINRATE_METRICS)["winrate"]
    assert metrics["status"] == "complete"
    # 22 shown: two editors for the policy, one for the base; 1 identical: three ties
    assert (metrics["wins"], metrics["ties"], metrics["losses"]) == (44, 3, 22)


def test_the_secret_is_for_its_owner_alone_and_nowhere_in_the_study(opened: str) -> None:
    path = secret_of(opened)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = path.read_text().strip()
    assert len(bytes.fromhex(secret)) == 32
    for file in [*paths.STUDY.rglob("*"), *paths.DATA.rglob("*")]:
        if file.is_file():
            assert secret not in file.read_text(encoding="utf-8")


def test_an_open_study_is_not_opened_again(opened: str) -> None:
    before = {path: path.read_bytes() for path in study_folder(opened).iterdir()}
    with pytest.raises(StudyError, match="open already"):
        study("open")
    assert before == {path: path.read_bytes() for path in study_folder(opened).iterdir()}


def test_a_secret_without_its_study_is_not_overwritten(opened: str) -> None:
    secret = secret_of(opened).read_bytes()
    study_folder(opened).rename("elsewhere")
    with pytest.raises(StudyError, match="restore the folder from git"):
        study("open")
    assert secret_of(opened).read_bytes() == secret


def test_two_openings_of_the_same_items_share_no_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slots = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        study_id = make_world(tmp_path / name, monkeypatch)
        study("open")
        slots.append(
            {s["slot_id"] for s in page_data(study_folder(study_id) / page_file("editor-1"))["screens"]}
        )
    assert not slots[0] & slots[1]


def test_too_many_void_prompts_are_named_with_their_phrases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_world(tmp_path, monkeypatch, void=(5, 7), study={"max_void_prompts": 1})
    with pytest.raises(StudyError) as error:
        study("open")
    assert "2 of 24 prompts give a model away, study.max_void_prompts allows 1" in str(error.value)
    assert "prompt p005: policy, names_no_model: 'as an AI'" in str(error.value)
    assert "prompt p007" in str(error.value)
    assert [path.name for path in paths.STUDY.iterdir()] == [".gitkeep"]
    assert not Path("secrets").exists()


def test_nothing_to_show_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_world(tmp_path, monkeypatch, n_prompts=4, identical=(0, 1, 2), void=(3,))
    with pytest.raises(
        StudyError, match="nothing is left to show: 3 prompts have identical completions, 1 are void"
    ):
        study("open")


def test_a_design_that_does_not_fit_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_world(tmp_path, monkeypatch, study={"min_repeat_distance": 100})
    with pytest.raises(StudyError, match="cannot be laid out"):
        study("open")
    assert [path.name for path in paths.STUDY.iterdir()] == [".gitkeep"]
    assert not Path("secrets").exists()


def test_a_secret_that_git_would_track_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_world(tmp_path, monkeypatch)
    subprocess.run(["git", "init", "-q"], check=True)
    with pytest.raises(StudyError, match="git would track it"):
        study("open")
    Path(".gitignore").write_text("/secrets/\n")
    study("open")


def test_reveal_refuses_while_ballots_are_missing_unless_told_why(opened: str) -> None:
    hand_in(opened, {"editor-1": prefers("POLICYTEXT")})
    with pytest.raises(StudyError, match="ballots are missing: editor-2, editor-3"):
        study("reveal")
    assert not (study_folder(opened) / "key.json").exists()
    study("reveal", "--despite-missing", "two editors have left")
    assert read_json(study_folder(opened) / "reveal.json")["reason"] == "two editors have left"
    winrate.main()
    assert read_json(paths.WINRATE_METRICS)["winrate"]["status"] == "pending"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "the secret is not there; restore it"),
        ("ab" * 32 + "\n", "not the one the study was sealed with"),
        ("ab" * 31 + "\n", "is not the secret that was written"),
        ("no hex", "is not the secret that was written"),
    ],
)
def test_a_lost_or_changed_secret_is_explained_and_not_repaired(
    opened: str, content: str | None, message: str
) -> None:
    hand_in(opened, dict.fromkeys(EDITORS, prefers("POLICYTEXT")))
    secret_of(opened).unlink()
    if content is not None:
        secret_of(opened).write_text(content)
    with pytest.raises(StudyError, match=message):
        study("reveal")
    assert not (study_folder(opened) / "key.json").exists()
    assert not (study_folder(opened) / "reveal.json").exists()


def test_status_leads_from_step_to_step(world: str) -> None:
    assert "next: bluepencil study open" in study("status")
    study("open")
    assert "editor-1: ballot missing" in study("status")
    hand_in(world, {"editor-1": prefers("POLICYTEXT")})
    text = study("status")
    assert "editor-1: 28 of 28 answers" in text
    assert "next: wait for editor-2, editor-3" in text
    hand_in(world, dict.fromkeys(EDITORS, prefers("POLICYTEXT")))
    assert "next: bluepencil study reveal" in study("status")
    study("reveal")
    assert "next: bluepencil repro winrate" in study("status")


def test_status_names_files_that_git_does_not_know(opened: str) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "add", "study"], check=True)
    commit = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "open"]
    subprocess.run(commit, check=True)
    hand_in(opened, {"editor-1": prefers("POLICYTEXT")})
    text = study("status")
    assert f"not in git: data/ballots/{opened}/editor-1.json" in text
    assert "not in git: study" not in text


def collected(study_id: str) -> list[str]:
    return sorted(path.name for path in ballots_folder(study_id).iterdir() if path.name != ".gitkeep")


def test_collect_refuses_what_does_not_fit(opened: str, tmp_path: Path) -> None:
    data = answer_page(study_folder(opened) / page_file("editor-1"), prefers("POLICYTEXT"))
    sent = tmp_path / "sent.json"

    def refusal(content: bytes, *options: str) -> str:
        sent.write_bytes(content)
        with pytest.raises(StudyError) as error:
            study("collect", str(sent), *options)
        return str(error.value)

    assert "the editor's receipt says" in refusal(data, "--receipt", "0" * 64)
    assert "cut off" in refusal(data[:-20])
    assert "changed after its export" in refusal(data.replace(b'"left"', b'"tie"', 1))
    body = json.loads(data)
    assert "saved again" in refusal(json.dumps(body).encode())
    assert collected(opened) == []
    sent.write_bytes(data)
    study("collect", str(sent))
    study("collect", str(sent))  # the same file again is no harm
    other = answer_page(study_folder(opened) / page_file("editor-1"), prefers("BASETEXT"))
    assert "another ballot of this" in refusal(other)
    assert collected(opened) == ["editor-1.json"]


def test_a_ballot_of_another_study_is_refused(
    opened: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = answer_page(study_folder(opened) / page_file("editor-1"), prefers("POLICYTEXT"))
    (tmp_path / "other").mkdir()
    make_world(tmp_path / "other", monkeypatch, n_prompts=20)
    study("open")
    Path("sent.json").write_bytes(data)
    with pytest.raises(StudyError, match=f"belongs to study {opened}"):
        study("collect", "sent.json")


def test_after_the_reveal_no_ballot_is_collected(opened: str) -> None:
    hand_in(opened, {"editor-1": prefers("POLICYTEXT")})
    study("reveal", "--despite-missing", "holidays")
    Path("late.json").write_bytes(
        answer_page(study_folder(opened) / page_file("editor-2"), prefers("POLICYTEXT"))
    )
    with pytest.raises(StudyError, match="no further ballot counts"):
        study("collect", "late.json")


def test_opening_fifty_prompts_for_three_editors_takes_less_than_five_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_world(tmp_path, monkeypatch, n_prompts=50, study={"n_repeats": 10, "min_repeat_distance": 15})
    start = time.monotonic()
    study("open")
    assert time.monotonic() - start < 5


def test_a_page_holds_no_model_and_no_prompt_id(opened: str) -> None:
    page = (study_folder(opened) / page_file("editor-1")).read_text(encoding="utf-8")
    alike = r"(?s)<style>.*?</style>|<script>.*?</script>|POLICYTEXT|BASETEXT|Content-Security-Policy"
    marks = re.sub(rf"{alike}|Write paragraph p\d+", "", page)
    data: dict[str, Any] = page_data(study_folder(opened) / page_file("editor-1"))
    assert all(word not in marks.lower() for word in ("policy", "p000", "anchor", "repeat"))
    assert set(data) == {"study_id", "page_id", "editor", "key_sha256", "synthetic", "screens"}
    assert all(set(screen) == {"slot_id", "prompt", "left", "right"} for screen in data["screens"])


def test_a_study_goes_on_from_its_sealed_files_when_the_texts_have_changed(opened: str) -> None:
    old = paths.BLIND_ITEMS.read_text()
    paths.BLIND_ITEMS.write_text(old.replace("BASETEXT", "OTHERTEXT", 1))
    paths.generations("policy").unlink()
    text = " ".join(study("status").split())
    assert f"study {opened} is open and of other texts than data/blind/items.jsonl has now" in text
    assert f"`bluepencil study reveal {opened}`" in text
    for name in EDITORS:
        data = answer_page(study_folder(opened) / page_file(name), prefers("POLICYTEXT"))
        Path("sent.json").write_bytes(data)
        study("collect", "sent.json", "--receipt", sha256_hex(data)[:20])
    study("reveal", opened)
    assert "winrate: 0.9" in study("verify", opened)  # 66 wins, and 3 ties of the identical prompt
    paths.BLIND_ITEMS.write_text(old)
    winrate.main()  # the texts are back: the key that was drawn without them is theirs
    assert read_json(paths.WINRATE_METRICS)["winrate"]["wins"] == 66


@pytest.mark.parametrize("command", ["status", "verify"])
def test_a_secret_that_is_not_there_is_said_before_the_reveal(opened: str, command: str) -> None:
    assert "secrets/" in study(command)
    assert "draws the sealed key" in study(command)
    secret_of(opened).unlink()
    assert "the secret is not there; the custodian needs it to reveal the key" in study(command)
