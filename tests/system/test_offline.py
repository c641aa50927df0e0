"""The default path opens no socket: every stage, and DVC, run where any attempt ends the process."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.offline_run import TOUCHED
from tests.support.tiny_repository import environment, make_tiny_repository

ROOT = Path(__file__).parent.parent.parent


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    path = {"PYTHONPATH": f"{folder}:{ROOT}"}  # the repository's stages, this project's tests
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment(folder, **path),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_whole_pipeline_and_dvc_touch_no_network(tmp_path: Path) -> None:
    repository = make_tiny_repository(tmp_path / "repository")
    done = run(repository, "-m", "tests.support.offline_run")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "ran: stages.train\n" in done.stdout
    assert done.stdout.endswith("ran: dvc status\n")
    assert (repository / "metrics/gate.json").exists()
    assert (repository / "reports/founder.html").exists()


@pytest.mark.parametrize(
    "attempt",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import socket; socket.getaddrinfo('example.org', 80)",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')",
    ],
)
def test_an_attempt_would_be_seen(tmp_path: Path, attempt: str) -> None:
    """The check above can fail."""
    hook = (
        "import sys; from tests.support.offline_run import refuse_network; sys.addaudithook(refuse_network); "
    )
    done = subprocess.run(
        [sys.executable, "-c", hook + attempt], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == TOUCHED
    assert "network touched" in done.stderr
