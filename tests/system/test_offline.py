"""The default path opens no socket: every stage, and DVC, ran where any attempt ends the process."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.documents import load_yaml
from tests.support.offline_run import TOUCHED
from tests.support.tiny_repository import ROOT
from tests.support.whole_repository import copy_whole_repository, what_ran


def test_the_whole_pipeline_and_dvc_touch_no_network(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    ran = what_ran(tmp_path_factory)  # there is none where one of them tried
    assert {line.split()[1] for line in ran.splitlines() if line.startswith("ran: stages.")} == {
        f"stages.{stage}" for stage in load_yaml("dvc.yaml")["stages"]
    }
    assert ran.endswith("ran: dvc status --quiet\n")
    repository = copy_whole_repository(tmp_path_factory, tmp_path / "repository")
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
