"""A tiny repository in which the whole pipeline and one variant of it have run, made once a test run.

`python -m tests.support.whole_repository` runs everything in one process, so that torch and its kind are imported
once, and where any attempt to reach a network ends it. The stages' commands are the pipeline's own; `dvc commit`
then records what they wrote.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from stages.cli.pipeline import with_overrides
from tests.support.offline_run import refuse_network, run_module, run_stages
from tests.support.tiny_repository import ROOT, environment, git, make_tiny_repository

COMMITTER = {
    f"GIT_{who}_{what}": "tester@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}
VARIANT = "wider"
BETA = 0.3
RAN = "ran.txt"
BASE_SIDE = ("base_model", "validate", "split", "reference")


def copy_whole_repository(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Path:
    """A copy of the test run's whole repository, its cache included."""
    shutil.copytree(_template(tmp_path_factory), folder, symlinks=True)
    return folder


def what_ran(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A line `ran: ...` for each command that the test run's whole repository was made with."""
    return (_template(tmp_path_factory).parent / RAN).read_text()


def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    temporary = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        temporary = temporary.parent  # the workers' common folder
    template = temporary / "whole/repository"
    with FileLock(temporary / "whole.lock"):
        if not template.exists():
            _make(template)
    return template


def _make(template: Path) -> None:
    unfinished = make_tiny_repository(template.parent / "unfinished")
    path = {"PYTHONPATH": f"{unfinished}:{ROOT}"}  # the repository's stages, this project's tests
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.whole_repository"],
        cwd=unfinished,
        env=environment(unfinished, **path, **COMMITTER),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    (template.parent / RAN).write_text(done.stdout)
    unfinished.rename(template)


def main() -> None:
    """Run everything here and commit it; then a variant, which becomes an experiment."""
    sys.addaudithook(refuse_network)
    here = Path()
    run_stages()
    run_module("dvc", "commit", "--force", "--quiet")
    git(here, "add", "-A")
    git(here, "commit", "-q", "-m", "Results")
    params = Path("params.yaml")
    params.write_text(with_overrides(params.read_text(), f"train: {{beta: {BETA}}}", place="variant"))
    run_stages(lambda words: words[-1] != "base" and not words[0].endswith(BASE_SIDE))
    run_module("dvc", "exp", "save", "--name", VARIANT, "--quiet")
    git(here, "checkout", "-q", ".")
    run_module("dvc", "checkout", "--force", "--quiet")
    run_module("dvc", "status", "--quiet")  # ends with 1 where anything changed


if __name__ == "__main__":
    main()
