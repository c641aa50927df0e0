"""Git as plain values, by the `git` command itself."""

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from stages.errors import InputError


def head_revision() -> str:
    """The commit that is checked out; InputError outside a repository or before its first commit."""
    return git("rev-parse", "--verify", "HEAD^{commit}").strip()


def has_revision(rev: str) -> bool:
    """Is this commit in the repository around the current folder, where there is one?"""
    return _run("cat-file", "-e", f"{rev}^{{commit}}") is not None


def uncommitted_files(watched: tuple[str, ...]) -> list[str]:
    """Tracked files that differ from HEAD, and untracked ones below the `watched` paths."""
    entries = git("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all").split("\0")
    changed = [(entry[:2], entry[3:]) for entry in entries if entry]
    return [path for state, path in changed if state != "??" or path.startswith(watched)]


def file_at(rev: str, path: str) -> bytes | None:
    """The bytes of a file at a commit, or None where it had none of that name."""
    if _run("cat-file", "-e", f"{rev}:{path}") is None:
        return None
    return _run("cat-file", "blob", f"{rev}:{path}")  # None for a folder


def files_under(rev: str, folder: str) -> list[str]:
    """Paths of all files below `folder` at a commit."""
    listed = _run("ls-tree", "-r", "-z", "--full-tree", "--name-only", rev, "--", f"{folder}/") or b""
    return [name for name in listed.decode().split("\0") if name]


def commit_that_added(path: str) -> str | None:
    """The first commit that had `path`, or None where none has."""
    log = _run("log", "--diff-filter=A", "--format=%H", "--", path) or b""
    commits = log.decode().split()
    return commits[-1] if commits else None


def tag_commit_and_message(tag: str) -> tuple[str, str] | None:
    """What an annotated tag points to and says; None where there is no such tag, or a plain one."""
    if (_run("cat-file", "-t", f"refs/tags/{tag}") or b"").strip() != b"tag":
        return None
    commit = git("rev-parse", f"refs/tags/{tag}^{{commit}}").strip()
    return commit, git("for-each-ref", "--format=%(contents)", f"refs/tags/{tag}")


def tagger() -> tuple[str, str]:
    """Name and e-mail that git would sign a tag with; InputError where it knows none."""
    name, _, rest = git("var", "GIT_COMMITTER_IDENT").partition(" <")
    return name, rest.partition(">")[0]


def git(*arguments: str) -> str:
    """What git prints; InputError with its own words where it fails."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    except FileNotFoundError as error:
        raise InputError("git: is not installed; install git") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise InputError(f"git {arguments[0]} in {Path.cwd()}: {said[-1] if said else 'failed'}")
    return done.stdout.decode()


def _run(*arguments: str) -> bytes | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return None if done.returncode else done.stdout


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
