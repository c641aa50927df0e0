"""What commands print at 80 columns, whole, as it is kept in tests/golden/; and at 20."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stages.cli.app import app
from tests.support.pair_factory import make_raw, write_rows
from tests.support.study_factory import hand_in, make_world, prefers

ROOT = Path(__file__).parent.parent.parent
GOLDEN = ROOT / "tests/golden"


def screen(*arguments: str, width: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a command prints on a screen so wide."""
    monkeypatch.setenv("COLUMNS", str(width))
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False).stdout


def assert_golden(name: str, text: str) -> None:
    """A changed screen is written beside the kept one, to be looked at and kept in its place."""
    file = GOLDEN / f"{name}.txt"
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.with_suffix(".new").write_text(text, encoding="utf-8")
        pytest.fail(f"{name}: compare {file} with {file.with_suffix('.new')}")


def test_an_open_study_says_who_is_missing_and_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_id = make_world(tmp_path, monkeypatch)
    CliRunner().invoke(app, ["study", "open"], catch_exceptions=False)
    hand_in(study_id, {"editor-1": prefers("POLICYTEXT")})
    for command in ("status", "verify"):
        text = screen("study", command, width=80, monkeypatch=monkeypatch)
        wide = screen("study", command, width=1000, monkeypatch=monkeypatch)
        assert_golden(f"study_{command}", wide.replace(str(tmp_path), "FOLDER"))
        assert " ".join(text.split()) == " ".join(wide.split())
        # a path is never broken
        assert all(len(line) <= 80 or len(line.split()) == 1 for line in text.splitlines())
        assert " ".join(screen("study", command, width=20, monkeypatch=monkeypatch).split()) == " ".join(
            wide.split()
        )


def test_data_check_names_the_broken_rules_their_lines_and_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    broken = [make_raw(number, chosen="", colour="red") for number in range(60, 67)]
    write_rows(tmp_path / "a.jsonl", [*(make_raw(number) for number in range(40)), *broken])
    assert_golden("data_check_80", screen("data", "check", "a.jsonl", width=80, monkeypatch=monkeypatch))


def test_a_size_says_what_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "sizes", tmp_path / "sizes")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert_golden("size_80", screen("size", "gpu", width=80, monkeypatch=monkeypatch))
