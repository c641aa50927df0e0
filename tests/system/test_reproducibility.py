"""The whole pipeline in other surroundings writes the same bytes: docs/reproducibility.md."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.tiny_repository import ROOT, environment, make_tiny_repository
from tests.support.whole_repository import copy_whole_repository

OTHER = {
    "LC_ALL": "C",
    "LANG": "tr_TR.UTF-8",
    "TZ": "Asia/Kathmandu",
    "USER": "other",
    "LOGNAME": "other",
    "COLUMNS": "40",
    "PYTHONHASHSEED": "4711",
}
pytestmark = pytest.mark.slow
COMMIT = re.compile(rb"commit <span data-quoted>[0-9a-f]{7}</span>")  # the page names it; each has its own


def written_bytes(repository: Path) -> dict[str, bytes]:
    """Every file that a stage wrote."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values()
    entries = [entry for stage in stages for entry in [*stage.get("outs", []), *stage.get("metrics", [])]]
    tops = {str(next(iter(entry)) if isinstance(entry, dict) else entry).split("$")[0] for entry in entries}
    roots = [repository / top for top in tops]
    files = [
        file for root in roots for file in ([root] if root.is_file() else root.rglob("*")) if file.is_file()
    ]
    ours = {file.relative_to(repository).as_posix(): file.read_bytes() for file in files}
    return {
        name: COMMIT.sub(b"", content)
        for name, content in ours.items()
        if not name.endswith((".gitignore", ".gitkeep"))
    }


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """What this test run's repository and one in other surroundings wrote."""
    folder = tmp_path_factory.mktemp("surroundings")
    usual = copy_whole_repository(tmp_path_factory, folder / "usual")
    other = make_tiny_repository(folder / "a folder of a colleague's")
    (folder / "home").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", "from tests.support.offline_run import run_stages; run_stages()"],
        cwd=other,
        env=environment(other, PYTHONPATH=f"{other}{os.pathsep}{ROOT}", HOME=str(folder / "home"), **OTHER),
        capture_output=True,
        text=True,
        check=False,
        umask=0o077,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return written_bytes(usual), written_bytes(other)


def test_other_surroundings_give_the_same_bytes(two: tuple[dict[str, bytes], dict[str, bytes]]) -> None:
    usual, other = two
    assert usual.keys() == other.keys()
    assert len(usual) > 40
    assert [name for name in usual if usual[name] != other[name]] == []
