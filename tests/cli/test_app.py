"""What every command has in common: version, help in the order of work, a pipe that closes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stages.cli.app import app
from stages.files.io import write_json

ROOT = Path(__file__).parent.parent.parent
ORDER = [
    "data",
    "labels",
    "size",
    "doctor",
    "repro",
    "exp",
    "compare",
    "curve",
    "plots",
    "study",
    "gate",
    "report",
    "release",
    "verify",
    "remote",
]


def test_the_version_is_that_of_the_package() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.stdout) == (0, "bluepencil 0.1.0\n")


def test_help_names_every_command_in_the_order_of_work() -> None:
    lines = CliRunner().invoke(app, ["--help"]).stdout.splitlines()
    words = [line.split()[1] for line in lines if line.startswith("│ ") and line[2] not in " -"]
    assert words == ORDER


def test_shell_completion_can_be_installed() -> None:
    assert "--install-completion" in CliRunner().invoke(app, ["--help"]).stdout


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_a_pipe_that_closes_ends_quietly(arguments: list[str]) -> None:
    reads, writes = os.pipe()
    os.close(reads)  # gone, so that every write fails
    command = [sys.executable, "-m", "stages", *arguments]
    done = subprocess.run(command, stdout=writes, stderr=subprocess.PIPE, cwd=ROOT)
    os.close(writes)
    assert (done.stderr, done.returncode) == (b"", 0)


@pytest.mark.parametrize(("state", "code"), [("pass", 0), ("pending", 3), ("fail", 1)])
def test_a_pipe_that_closes_leaves_a_verdict_its_exit_code(state: str, code: int, tmp_path: Path) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    done = ask_gate(tmp_path, state, stdout=writes)
    os.close(writes)
    assert (done.stderr, done.returncode) == (b"", code)


def test_letters_that_a_pipe_cannot_take_are_printed_by_their_numbers(tmp_path: Path) -> None:
    done = ask_gate(tmp_path, "pass", stdout=subprocess.PIPE, PYTHONIOENCODING="ascii")
    assert (done.stderr, done.returncode) == (b"", 0)
    assert rb"\u2713 pass" in done.stdout


@pytest.mark.parametrize(
    "surroundings",
    [
        {"COLUMNS": "0"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""},
    ],
)
def test_an_odd_terminal_gets_the_verdict_too(tmp_path: Path, surroundings: dict[str, str]) -> None:
    done = ask_gate(tmp_path, "fail", stdout=subprocess.PIPE, **surroundings)
    assert (done.stderr, done.returncode) == (b"", 1)
    assert b"fail overall" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_a_full_disk_under_the_output_is_said_once(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = ask_gate(tmp_path, "pass", stdout=full.fileno())
    assert b"the disk is full" in done.stderr
    assert b"Traceback" not in done.stderr
    assert done.returncode == 2


def ask_gate(
    folder: Path, state: str, *, stdout: int, **surroundings: str
) -> subprocess.CompletedProcess[bytes]:
    """`bluepencil gate` in a folder where every gate has one state."""
    verdict = {"state": state, "literal_met": "met", "reasons": ""}
    gates = dict.fromkeys(("accuracy", "winrate", "capability", "overall"), verdict)
    write_json(folder / "metrics/gate.json", {"gate": {**gates, "warnings": ""}})
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **surroundings}
    command = [sys.executable, "-m", "stages", "gate"]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, cwd=folder, env=environment)


def test_what_the_documents_commands_write_for_a_look_holds_up_no_release() -> None:
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    text = "\n".join(document.read_text(encoding="utf-8") for document in documents)
    written = {*re.findall(r"--(?:page|pdf) (reports/[\w./-]+)", text), "dvc_plots/index.html"}
    assert len(written) >= 3
    for path in sorted(written):
        done = subprocess.run(["git", "check-ignore", "-q", "--no-index", path], cwd=ROOT)
        assert done.returncode == 0, path


@pytest.mark.parametrize("module", ["stages.cli.gate", "stages.accuracy", "stages.capability", "stages.gate"])
def test_what_judges_numbers_loads_no_model_library(module: str) -> None:
    heavy = {"torch", "transformers", "great_expectations", "datasets"}
    code = f"import sys, {module}; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
