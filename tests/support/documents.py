"""What README.md and docs/ promise: links, paths, commands, parameters. Each check yields what is wrong."""

import re
import shlex
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import typer.main
import yaml

from stages.cli.app import app

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

# Written by commands or by people, not by a stage, so neither in git nor an out in dvc.yaml.
WRITTEN_LATER = (
    ".bluepencil/*", ".dvc/config.local", ".venv/*", "benchmarks/results/*", "data/ballots/*", "data/raw/*",
    "dvc.lock", "dvc.lock.broken", "releases/*", "reports/compare.html", "reports/founder.pdf",
    "sizes/accelerate/two_machines.yaml", "study/*",
)  # fmt: skip
TOP = ("stages", "tests", "docs", "data", "metrics", "models", "reports", "study", "sizes", "benchmarks")
ENDINGS = (
    ".py",
    ".md",
    ".yaml",
    ".json",
    ".jsonl",
    ".csv",
    ".html",
    ".j2",
    ".parquet",
    ".lock",
    ".toml",
    ".svg",
)
# Names of files in places that a text describes: a release's folder, an editor's download.
ELSEWHERE = ("evidence/*", "files/md5/*")
OTHER_PROGRAMS = {"git", "cd", "export", "source", "sha256sum", "accelerate", "pip", "head"}

Pipeline = dict[str, dict[str, dict[str, Any]]]


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def spans(text: str) -> list[str]:
    """What stands in backquotes."""
    return re.findall(r"`([^`\n]+)`", prose(text))


# Links


def wrong_links(text: str, document: Path) -> Iterator[str]:
    """Relative links whose file or heading is not there."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = document.parent / name if name else document
        if not file.exists():
            yield f"link to {target}: no such file"
        elif anchor and anchor not in anchors(text if file == document else file.read_text(encoding="utf-8")):
            yield f"link to {target}: no such heading"


def anchors(text: str) -> set[str]:
    """The anchors that git hosts give to headings."""
    headings = re.findall(r"^#+ (.+)$", prose(text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# Paths


def wrong_paths(text: str, document: Path, pipeline: Pipeline) -> Iterator[str]:
    """Paths in backquotes that are no file, no out of a stage and nothing that a command writes."""
    known = [*stage_outs(pipeline), *WRITTEN_LATER, *ELSEWHERE]
    for span in spans(text):
        path = span.rstrip("/")
        if not looks_like_a_path(path):
            continue
        pattern = re.sub(r"<[^<>]+>|NAME", "*", path)
        here = [folder for folder in (ROOT, document.parent, ROOT / "stages") if any(folder.glob(pattern))]
        inside = any(
            fnmatch(path, out) or fnmatch(path, f"{out}/*") or fnmatch(out, pattern) for out in known
        )
        if not here and not inside:
            yield f"path {span}: does not exist and no stage writes it"


def looks_like_a_path(path: str) -> bool:
    """A folder of ours and something in it, or a slash and the ending of a file; no URL, no command."""
    if not re.fullmatch(r"[\w.<>@*-]+(/[\w.<>@*-]+)*", path):
        return False
    return (path.split("/")[0] in TOP and "/" in path) or ("/" in path and path.endswith(ENDINGS))


def stage_outs(pipeline: Pipeline) -> list[str]:
    """Every out and metric of dvc.yaml."""
    found = []
    for stage in pipeline["stages"].values():
        entries = [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]
        paths = [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]
        models = stage.get("matrix", {}).get("model", [""])
        found += [path.replace("${item.model}", model) for path in paths for model in models]
    return found


# Commands


def console_commands(text: str) -> list[str]:
    """What follows `$` in console blocks, one command each; their comments and joins taken apart."""
    lines = [
        line[2:] for block in blocks(text, "console") for line in block.splitlines() if line.startswith("$ ")
    ]
    return [command for line in lines for command in simple_commands(line)]


def simple_commands(line: str) -> list[str]:
    """The commands of one line of shell."""
    lexer = shlex.shlex(line, posix=False, punctuation_chars="&|;")
    lexer.commenters = "#"
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    for token in lexer:
        if set(token) <= set("&|;"):
            commands.append([])
        else:
            commands[-1].append(token)
    return [" ".join(words) for words in commands if words]


def inline_commands(text: str) -> list[str]:
    """Commands in backquotes; an ellipsis, or arguments left out, is allowed there."""
    found = []
    for span in spans(text):
        if re.match(r"(bluepencil|dvc|make) [a-z]", span):
            found += simple_commands(span.replace("...", "").replace("…", ""))
    return found


def wrong_command(command: str, *, complete: bool) -> str | None:
    """Why a command would not be understood, or None. A complete one has all its arguments."""
    program, *arguments = shlex.split(command)
    program = program.removeprefix(".venv/bin/")
    if program == "bluepencil" and arguments[:1] in (["exp"], ["repro"]):
        program = "dvc"
    checks = {"bluepencil": wrong_bluepencil, "dvc": wrong_dvc, "make": wrong_make, "python": wrong_python}
    if program in checks:
        reason = checks[program](arguments)
        missing = reason is not None and re.search(r"Missing (argument|option|command)|are required", reason)
        return None if missing and not complete else reason
    return None if program in OTHER_PROGRAMS else f"{program}: which program is that?"


def wrong_bluepencil(arguments: list[str]) -> str | None:
    """What the command line itself would object to, without running anything."""
    command: click.Command = typer.main.get_command(app)  # type: ignore[assignment]
    context = None
    try:
        while hasattr(command, "commands"):
            if not arguments:
                return "Missing command"
            name, *arguments = arguments
            if name not in command.commands:
                return f"No such command '{name}'"
            command = command.commands[name]
        context = command.make_context(command.name, list(arguments))
    except Exception as error:
        if hasattr(error, "format_message"):
            return str(error.format_message())
        raise
    context.close()
    return None


def wrong_dvc(arguments: list[str]) -> str | None:
    """What DVC's own parser objects to."""
    from dvc.cli.parser import DvcParserError, get_main_parser

    said = []
    parser = get_main_parser()
    for each in parsers(parser):
        each.error = lambda message, *_: _raise(DvcParserError(), said.append(message))  # type: ignore[assignment]
    try:
        parser.parse_args(arguments)
    except DvcParserError:
        return said[-1]
    return None


def parsers(parser: Any) -> Iterator[Any]:
    """A parser and all its sub-commands' parsers."""
    yield parser
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for sub_parser in action.choices.values():
                yield from parsers(sub_parser)


def _raise(error: Exception, _: object) -> None:
    raise error


def wrong_make(arguments: list[str]) -> str | None:
    """Targets that the Makefile does not have."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    unknown = [name for name in arguments if "=" not in name and name not in targets]
    return f"no target {', '.join(unknown)}" if unknown else None


def wrong_python(arguments: list[str]) -> str | None:
    """A module or file that is not there."""
    if arguments[:1] == ["-m"]:
        known = "<" in arguments[1] or find_spec(arguments[1]) is not None
        return None if known else f"no module {arguments[1]}"
    return None if (ROOT / arguments[0]).exists() else f"no file {arguments[0]}"


# Parameters


def wrong_parameters(text: str, params: dict[str, Any]) -> Iterator[str]:
    """Dotted names that begin like a section of params.yaml and are no key of it."""
    assigned = re.findall(r"(?:-S|--set-param) '?([\w.]+)=", text)
    for name in [*spans(text), *assigned]:
        key = name.split(":")[0].split(" ")[0]
        if not re.fullmatch(r"[a-z_]+(\.[a-z_*]+)+", key) or key.split(".")[0] not in params:
            continue
        if not key.endswith(ENDINGS) and not has_key(params, key):
            yield f"parameter {key}: not in params.yaml"


def has_key(params: Any, key: str) -> bool:
    """Whether the dotted name leads somewhere; `*` stands for any key."""
    for part in key.split("."):
        if part == "*":
            return isinstance(params, dict)
        if not isinstance(params, dict) or part not in params:
            return False
        params = params[part]
    return True


def load_yaml(name: str) -> Any:
    """A YAML file of the repository."""
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
