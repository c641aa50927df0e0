"""Git as plain values, by the `git` command itself.

Paths are those from the current folder, which may be a subfolder of a larger repository.
"""

import subprocess
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from stages.errors import InputError


def head_revision() -> str:
    """The commit that is checked out; InputError outside a repository or before its first commit."""
    return git("rev-parse", "--verify", "HEAD^{commit}").strip()


def has_revision(rev: str) -> bool:
    """Is this commit in the repository around the current folder, where there is one?"""
    return _ask("cat-file", "-e", f"{rev}^{{commit}}") is not None


def uncommitted_files(watched: tuple[str, ...]) -> list[str]:
    """Tracked files of this folder that differ from HEAD, and untracked ones below the `watched` paths."""
    entries = git("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--", ".")
    above = git("rev-parse", "--show-prefix").rstrip("\n")  # git names them from the repository's top
    changed = [(entry[:2], entry[3:].removeprefix(above)) for entry in entries.split("\0") if entry]
    return [path for state, path in changed if state != "??" or path.startswith(watched)]


def tracked_files() -> list[str] | None:
    """Paths of all tracked files, from the current folder; None without a repository."""
    return _lines("ls-files", "-z")


def would_be_tracked(path: Path) -> bool:
    """Would `git add` take this path? The folder that holds it, or one above, must exist."""
    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    is_inside = _ask("rev-parse", "--is-inside-work-tree", folder=folder) is not None
    return is_inside and _ask("check-ignore", "-q", str(path.absolute()), folder=folder) is None


def file_at(rev: str, path: str) -> bytes | None:
    """The bytes of a file at a commit, or None where it had none of that name."""
    return _ask("cat-file", "blob", f"{rev}:./{path}")  # None for a folder, too


def files_under(rev: str, folder: str) -> list[str]:
    """Paths of all files below `folder` at a commit."""
    return _lines("ls-tree", "-r", "-z", "--name-only", rev, "--", f"{folder}/") or []


def commits_of(*paths: Path) -> list[str] | None:
    """The commits that changed any of `paths`, the newest first; None without a repository or a commit."""
    return _lines("log", "-z", "--format=%H", "--", *map(str, paths))


def day_of_last_commit(path: Path) -> date | None:
    """The day on which `path` was last committed; None without a repository, or where no commit has it."""
    days = _lines("log", "-z", "-1", "--format=%cs", "--", str(path))
    return date.fromisoformat(days[0]) if days else None


def differs_from_head(*paths: str) -> bool:
    """Do tracked files among `paths` differ from the commit that is checked out?"""
    return _ask("diff", "--quiet", "HEAD", "--", *paths) is None


def is_shallow() -> bool:
    """Does this clone hold only the last commits of its history?"""
    return (_ask("rev-parse", "--is-shallow-repository") or b"").strip() == b"true"


def commit_that_added(path: str) -> str | None:
    """The first commit that had `path`, or None where none has."""
    commits = _lines("log", "--diff-filter=A", "-z", "--format=%H", "--", path)
    return commits[-1] if commits else None


def tag_commit_and_message(tag: str) -> tuple[str, str] | None:
    """What an annotated tag points to and says; None where there is no such tag, or a plain one."""
    if (_ask("cat-file", "-t", f"refs/tags/{tag}") or b"").strip() != b"tag":
        return None
    commit = git("rev-parse", f"refs/tags/{tag}^{{commit}}").strip()
    return commit, git("for-each-ref", "--format=%(contents)", f"refs/tags/{tag}")


def tagger() -> tuple[str, str]:
    """Name and e-mail that git would sign a tag with; InputError where it knows none."""
    name, _, rest = git("var", "GIT_COMMITTER_IDENT").partition(" <")
    return name, rest.partition(">")[0]


class Version(NamedTuple):
    """A file of a commit; equal contents have equal ids."""

    rev: str
    path: str
    blob: str


def list_versions(root: Path, revs: Sequence[str], files: Sequence[str]) -> list[Version]:
    """Which content each of `files` (from the top of the git repository `root`) has in each commit."""
    wanted = [(rev, path) for rev in revs for path in files]
    names = "".join(f"{rev}:{path}\n" for rev, path in wanted)
    found = []
    answers = _call("cat-file", "--batch-check", folder=root, typed=names).splitlines()
    for (rev, path), line in zip(wanted, answers, strict=True):
        words = line.split()
        if len(words) == 3 and words[1] == b"blob":
            found.append(Version(rev, path, words[0].decode()))
    return found


def read_blobs(root: Path, blobs: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Each id with its content, in the given order."""
    stream = _call("cat-file", "--batch", folder=root, typed="".join(f"{blob}\n" for blob in blobs))
    place = 0
    for blob in blobs:
        start = stream.index(b"\n", place) + 1
        size = int(stream[place : start - 1].split()[2])
        yield blob, stream[start : start + size]
        place = start + size + 1


def git(*arguments: str) -> str:
    """What git prints; InputError with its own words where it fails."""
    return _call(*arguments).decode()


def _lines(*arguments: str) -> list[str] | None:
    """The names that git prints with a zero byte after each; None where it fails."""
    printed = _ask(*arguments)
    return None if printed is None else [name for name in printed.decode().split("\0") if name]


def _ask(*arguments: str, folder: Path | None = None) -> bytes | None:
    """What git prints, or None where it fails or is not installed."""
    try:
        return _call(*arguments, folder=folder)
    except InputError:
        return None


def _call(*arguments: str, folder: Path | None = None, typed: str = "") -> bytes:
    where = folder or Path.cwd()
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=where, input=typed.encode(), capture_output=True, check=False
        )
    except FileNotFoundError as error:
        raise InputError("git: is not installed; install git") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise InputError(f"git {arguments[0]} in {where}: {said[-1] if said else 'failed'}")
    return done.stdout
