"""Runs a command and says what it took."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

# Linux counts what a process held before it became the command, so the command starts from a small one.
SMALL_PARENT = """
import json, os, sys
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(child, 0)
code = os.waitstatus_to_exitcode(status)
os.write(int(sys.argv[1]), json.dumps([code, used.ru_utime + used.ru_stime, used.ru_maxrss]).encode())
"""


class Taken(NamedTuple):
    """What one process took, start-up included; `peak_bytes` is its own, not of its children."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int

    def __str__(self) -> str:
        gib = self.peak_bytes / 2**30
        return f"{self.seconds:8.1f} s, {self.cpu_seconds:8.1f} s of processor, {gib:5.2f} GiB"


def run_measured(command: Sequence[str], *, cwd: Path, env: dict[str, str] | None = None) -> Taken:
    """Run to the end; exits where the command fails, which has then said why."""
    out, into = os.pipe()
    start = time.perf_counter()
    small = [sys.executable, "-I", "-S", "-c", SMALL_PARENT, str(into), *command]
    subprocess.run(small, cwd=cwd, env=env, check=True, pass_fds=[into])
    seconds = time.perf_counter() - start
    os.close(into)
    with os.fdopen(out) as answer:
        code, cpu_seconds, peak_kib = json.load(answer)
    if code:
        raise SystemExit(f"{' '.join(command)} ended with {code}")
    return Taken(seconds, cpu_seconds, peak_kib * 1024)
