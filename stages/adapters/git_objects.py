"""Files as they stood in many commits, read in two calls of git, each content once."""

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from stages.errors import InputError


class Version(NamedTuple):
    """A file of a commit; equal contents have equal ids."""

    rev: str
    path: str
    blob: str


def list_versions(root: Path, revs: Sequence[str], files: Sequence[str]) -> list[Version]:
    """Which content each of `files` (from the top of the git repository `root`) has in each commit."""
    wanted = [(rev, path) for rev in revs for path in files]
    lines = _git(root, "--batch-check", "".join(f"{rev}:{path}\n" for rev, path in wanted)).splitlines()
    found = []
    for (rev, path), line in zip(wanted, lines, strict=True):
        words = line.split()
        if len(words) == 3 and words[1] == b"blob":
            found.append(Version(rev, path, words[0].decode()))
    return found


def read_blobs(root: Path, blobs: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Each id with its content, in the given order."""
    stream = _git(root, "--batch", "".join(f"{blob}\n" for blob in blobs))
    place = 0
    for blob in blobs:
        start = stream.index(b"\n", place) + 1
        size = int(stream[place : start - 1].split()[2])
        yield blob, stream[start : start + size]
        place = start + size + 1


def _git(root: Path, how: str, lines: str) -> bytes:
    done = subprocess.run(
        ["git", "-C", str(root), "cat-file", how], input=lines.encode(), capture_output=True, check=False
    )
    if done.returncode:
        raise InputError(f"compare: git cannot read {root}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
