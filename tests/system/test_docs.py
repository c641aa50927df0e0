"""README and docs/ say only what is so. Every check is shown to fail on a line that was made up."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.documents import (
    DOCUMENTS,
    ROOT,
    console_commands,
    inline_commands,
    load_yaml,
    wrong_command,
    wrong_links,
    wrong_parameters,
    wrong_paths,
)
from tests.support.pipeline_picture import PICTURE, draw
from tests.support.tiny_repository import environment
from tests.support.whole_repository import COMMITTER, copy_whole_repository

PIPELINE, PARAMS = load_yaml("dvc.yaml"), load_yaml("params.yaml")
# Commands that stand in a document and are run here, with their exit codes; each takes a second or two.
RUN = {
    "bluepencil data check data/raw/pairs.jsonl": 0,
    "bluepencil doctor": 0,
    "bluepencil study status": 0,
    "bluepencil gate": 3,
    "bluepencil compare": 0,
    "bluepencil exp show": 0,
    "dvc repro": 0,
    "dvc metrics diff": 0,
}
each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
)


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    assert list(wrong_links(document.read_text(), document)) == []


@each_document
def test_paths_exist_or_are_written(document: Path) -> None:
    assert list(wrong_paths(document.read_text(), document, PIPELINE)) == []


@each_document
def test_commands_are_understood(document: Path) -> None:
    text = document.read_text()
    wrong = {command: wrong_command(command, complete=True) for command in console_commands(text)}
    wrong |= {command: wrong_command(command, complete=False) for command in inline_commands(text)}
    assert {command: reason for command, reason in wrong.items() if reason} == {}


@each_document
def test_parameters_are_in_params_yaml(document: Path) -> None:
    assert list(wrong_parameters(document.read_text(), PARAMS)) == []


def test_every_document_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        document = waiting.pop()
        reached.add(document)
        targets = [ROOT / path for path in map(str, linked(document)) if path.endswith(".md")]
        waiting += [target for target in targets if target not in reached]
    decisions = ROOT / "docs/decisions"
    assert [path for path in DOCUMENTS if path not in reached and path.parent != decisions] == []


def linked(document: Path) -> set[Path]:
    names = re.findall(r"\]\(([^)#\s]+)", document.read_text())
    files = [(document.parent / name).resolve() for name in names if ":" not in name]
    return {file.relative_to(ROOT) for file in files if file.exists()}


def test_the_picture_shows_dvc_yaml() -> None:
    assert PICTURE.read_text() == draw(PIPELINE), "run `python -m tests.support.pipeline_picture`"


def test_commands_of_the_documents_run(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    written = {command for document in DOCUMENTS for command in console_commands(document.read_text())}
    assert RUN.keys() <= written
    repository = copy_whole_repository(tmp_path_factory, tmp_path / "repository")
    modules = {"bluepencil": "stages", "dvc": "dvc"}
    codes = {}
    for command in RUN:
        program, *arguments = command.split()
        done = subprocess.run(
            [sys.executable, "-m", modules[program], *arguments],
            cwd=repository,
            env=environment(repository, **COMMITTER),
            capture_output=True,
            text=True,
            check=False,
        )
        codes[command] = done.returncode
        assert "Traceback" not in done.stderr, done.stderr[-2000:]
    assert codes == RUN


# The checks can fail


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[a page](docs/nowhere.md)", "no such file"),
        ("[a part](#nowhere)", "no such heading"),
        ("[a part](docs/errors.md#nowhere)", "no such heading"),
    ],
)
def test_a_wrong_link_is_seen(line: str, reason: str) -> None:
    assert [reason in problem for problem in wrong_links(f"# A heading\n{line}\n", ROOT / "README.md")] == [
        True
    ]
    assert (
        list(wrong_links("# A heading\n[up](#a-heading) [doc](docs/errors.md)\n", ROOT / "README.md")) == []
    )


@pytest.mark.parametrize(
    "path",
    ["stages/nowhere.py", "data/split/nowhere.jsonl", "models/other", "metrics/<gate>.jsonl", "x/nowhere.md"],
)
def test_a_wrong_path_is_seen(path: str) -> None:
    assert len(list(wrong_paths(f"see `{path}`", ROOT / "README.md", PIPELINE))) == 1


@pytest.mark.parametrize(
    "path",
    ["stages/split.py", "data/split/holdout.jsonl", "models/policy/adapter_config.json", "stages/<stage>.py"],
)
def test_a_right_path_is_not_held_up(path: str) -> None:
    assert list(wrong_paths(f"see `{path}`", ROOT / "README.md", PIPELINE)) == []


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("bluepencil stduy open", "No such command 'stduy'"),
        ("bluepencil study open --lots", "No such option"),
        ("bluepencil data check", "Missing argument"),
        ("bluepencil study", "Missing command"),
        ("bluepencil exp run --sett x", "unrecognized arguments"),
        ("dvc repro --fast", "unrecognized arguments"),
        ("dvc pul", "invalid choice"),
        ("dvc exp pull", "are required"),
        ("make everything", "no target everything"),
        ("python -m stages.nowhere", "no module stages.nowhere"),
        ("python nowhere.py", "no file nowhere.py"),
        ("bluepancil gate", "which program is that?"),
    ],
)
def test_a_wrong_command_is_seen(command: str, reason: str) -> None:
    (found,) = console_commands(f"```console\n$ {command}   # a comment\nits output\n```\n")
    assert reason in str(wrong_command(found, complete=True))


def test_inline_commands_may_leave_arguments_out_but_not_invent_options() -> None:
    said = "`bluepencil data check` and `bluepencil study ...`, `dvc exp pull`, `bluepencil gate --wrong`"
    problems = [wrong_command(command, complete=False) for command in inline_commands(said)]
    assert [problem is None for problem in problems] == [True, True, True, False]


@pytest.mark.parametrize("line", ["`train.bta`", "`limits.winrate.max`", "$ dvc exp run -S train.bta=1"])
def test_a_wrong_parameter_is_seen(line: str) -> None:
    assert len(list(wrong_parameters(line, PARAMS))) == 1
    assert list(wrong_parameters("`train.beta`, `limits.*`, `train.beta: 0.3`", PARAMS)) == []


def test_a_stage_without_a_place_in_the_picture_is_seen() -> None:
    with pytest.raises(ValueError, match="differ in \\['nowhere'\\]"):
        draw({"stages": {**PIPELINE["stages"], "nowhere": {"cmd": "true"}}})


def test_every_picture_is_shown_somewhere():
    text = "".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    shown = set(re.findall(r"images/([\w-]+\.\w+)\)", text))
    assert shown == {path.name for path in (ROOT / "docs/images").iterdir()}
