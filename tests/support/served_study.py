"""A study served by a process of its own that ends with 97 if it looks anything up or connects anywhere."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from stages.cli.study.app import app
from tests.support.study_factory import make_world

QUIET = """
import os, sys
def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        os._exit(97)
sys.addaudithook(hook)
from stages.cli.app import main
sys.argv = ["bluepencil", "study", "serve", "--port", "0"]
main()
"""


class Served(NamedTuple):
    study_id: str
    links: dict[str, str]


@contextmanager
def serve_made_up_study(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Open a study in `folder`, serve it, and end the server with Ctrl+C; it must end well."""
    study_id = make_world(folder, monkeypatch)
    CliRunner().invoke(app, ["open"], catch_exceptions=False)
    command = [sys.executable, "-c", QUIET]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout
    links: dict[str, str] = {}
    said = []
    for line in process.stdout:
        said.append(line)
        if found := re.search(r"(\S+): (http://\S+)  hand in", line):
            links[found[1]] = found[2]
        if "Ctrl+C" in line:
            break
    try:
        assert links, said
        yield Served(study_id, links)
    finally:
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=120)[0]
    assert process.returncode == 0, (said, rest)
