"""The suite itself: a test that never ends must not keep the others from being reported."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
HANGS = """
import threading

def test_that_waits_for_ever():
    threading.Event().wait()

def test_after_it():
    pass
"""


def test_a_test_that_waits_for_ever_fails_by_name_and_the_rest_is_run(tmp_path: Path) -> None:
    (tmp_path / "test_hangs.py").write_text(HANGS)
    command = [
        "-m",
        "pytest",
        "-n",
        "1",
        "-c",
        "pyproject.toml",
        "-o",
        "faulthandler_timeout=2",
        str(tmp_path),
    ]
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "in test_that_waits_for_ever" in done.stderr  # where it stood
    assert "FAILED" in done.stdout
    assert "test_that_waits_for_ever - worker" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
