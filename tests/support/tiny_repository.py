"""A whole Blue Pencil repository with a tiny random model, in which every stage runs in seconds."""

import json
import os
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

from stages.cli.pipeline import with_overrides

ROOT = Path(__file__).parent.parent.parent
COPIED = (
    ".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitattributes", ".gitignore", "dvc.yaml", "params.yaml", "pyproject.toml",
    "stages", "sizes", "study", "data/ballots", "data/curve", "data/kept", "metrics", "models", "reports", "data/.gitignore",
)  # fmt: skip
N_PAIRS = 160
N_PROMPTS = 8
PARAMS = f"""
data: {{pairs: data/raw/pairs.jsonl, prompts: data/raw/prompts.jsonl}}
base_model: {{source: path}}
runtime: {{n_threads: 1}}
rows: {{score_batch_size: 4, max_length: 2048}}
size: {{n_train: 8, n_selection_scored: 4, n_holdout_scored: 8, n_questions: 57}}
split: {{n_holdout: 20, n_selection: 10}}
watch: {{save_steps: 1}}
generate: {{n_prompts: {N_PROMPTS}, max_new_tokens: 24, batch_size: 4}}
study: {{n_repeats: 2, n_anchors: 1, min_repeat_distance: 2}}
"""


def make_tiny_repository(folder: Path) -> Path:
    """Copy the project into `folder`, make its parameters tiny and commit it, as a user's clone would be."""
    for name in COPIED:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=_written_by_stages)
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    raw = folder / "data/raw"
    (raw / "mmlu").mkdir(parents=True)
    (raw / "mmlu/.gitkeep").touch()
    _first_lines(ROOT / "data/sample/pairs.jsonl", raw / "pairs.jsonl", N_PAIRS)
    _first_lines(ROOT / "data/sample/prompts.jsonl", raw / "prompts.jsonl", N_PROMPTS)
    _tiny_base(raw / "base_model")
    params = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(with_overrides(params, PARAMS, place="tiny"))
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "A tiny project"]):
        git(folder, *command)
    return folder


def environment(folder: Path, **extra: str) -> dict[str, str]:
    """What a process in the repository needs: its own `stages`, this Python, checkpoints of its own."""
    return {
        **os.environ,
        "PYTHONPATH": str(folder),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "BLUEPENCIL_CHECKPOINTS": str(folder.parent / f"{folder.name}-checkpoints"),
        "DVC_SITE_CACHE_DIR": str(folder.parent / f"{folder.name}-site-cache"),
        **extra,
    }


class CommandLine:
    """Commands in a repository, each in a process group of its own; none may take longer than `longest_s`."""

    longest_s = 1800

    def __init__(self, root: Path, **extra: str) -> None:
        self.root = root
        self.environment = environment(root, **extra)

    def start(self, *command: str, **options: object) -> subprocess.Popen[str]:
        """Start `python -m <command>`."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
            [sys.executable, "-m", *command],
            cwd=self.root,
            env=self.environment,
            text=True,
            start_new_session=True,
            **pipes | options,
        )

    def run(self, *command: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run `python -m <command>` to its end."""
        process = self.start(*command, **options)
        out, err = process.communicate(timeout=self.longest_s)
        return subprocess.CompletedProcess(command, process.returncode, out, err)


def git(folder: Path, *arguments: str) -> str:
    """The output of a git command, as a committer who has no configuration."""
    who = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
    return subprocess.run(
        ["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def _tiny_base(folder: Path) -> None:
    """A tiny checkpoint whose context holds the real paragraphs and questions."""
    # imported here: a stage that runs in this process settles how the hub's client behaves before it is loaded
    from tests.support.tiny_models import write_tiny_base

    write_tiny_base(folder)
    config = json.loads((folder / "config.json").read_text())
    config["max_position_embeddings"] = 4096
    (folder / "config.json").write_text(json.dumps(config))


def _written_by_stages(folder: str, names: list[str]) -> set[str]:
    """Of a folder that stages write into, only what is not theirs: the files git keeps it with."""
    relative = Path(folder).relative_to(ROOT)
    if relative.parts[0] in {"metrics", "models", "reports"}:
        return {name for name in names if not name.startswith(".git")}
    return {name for name in names if name == "__pycache__"}


def _first_lines(source: Path, target: Path, n: int) -> None:
    with source.open(encoding="utf-8") as lines:
        target.write_text("".join(islice(lines, n)), encoding="utf-8")
