"""What git has seen of a study's files: none changes once it is committed; receipts only grow in number."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from stages.files.json_text import parse_json
from stages.repository.git import commits_of, file_at, files_under, is_shallow, tracked_files
from stages.study.folder import RECEIPTS, ballots_folder, read_bytes, study_folder
from stages.study.seal import REHEARSAL


class History(NamedTuple):
    """What does not fit, and what could not be compared."""

    problems: list[str]
    uncommitted: list[str]
    note: str = ""


class Committed(NamedTuple):
    """A file's bytes in one commit, line ends as LF."""

    rev: str  # its first digits
    data: bytes


def check_history(study_id: str) -> History:
    """Compare every file of a study with every version of it that git has. A rehearsal has no history."""
    folders = (study_folder(study_id), ballots_folder(study_id))
    if study_id.startswith(REHEARSAL):
        return History([], [])
    if tracked_files() is None:
        return History([], [], "not compared with git: there is no repository here, or git refuses it")
    revs = commits_of(*folders) or []
    versions: dict[str, list[Committed]] = {}
    for rev in reversed(revs):
        for path in [name for folder in folders for name in files_under(rev, folder.as_posix())]:
            committed = Committed(rev[:7], unify_line_ends(file_at(rev, path) or b""))
            known = versions.setdefault(path, [])
            if not known or known[-1].data != committed.data:
                known.append(committed)
    present = {
        path.as_posix(): unify_line_ends(read_bytes(path) or b"")
        for folder in folders
        for path in sorted(folder.glob("[!.]*"))
    }
    problems = [
        problem
        for path, known in sorted(versions.items())
        if "/." not in path
        for problem in _changes(path, known, present)
    ]
    note = "this clone is shallow: only the commits that it holds were compared" if is_shallow() else ""
    return History(problems, sorted(set(present) - set(versions)), note)


def unify_line_ends(data: bytes) -> bytes:
    """The bytes with line ends as LF: git may write CRLF, and no file of a study has a CR itself."""
    return data.replace(b"\r\n", b"\n")


def _changes(path: str, known: Sequence[Committed], present: Mapping[str, bytes]) -> Iterator[str]:
    if path.endswith(f"/{RECEIPTS}"):
        yield from _receipt_changes(path, known, present.get(path))
        return
    first = known[0]
    yield from (
        f"{path}: was changed in git by commit {later.rev} after its first commit {first.rev}"
        for later in known[1:]
        if later.data != first.data
    )
    if path in present:
        if present[path] != known[-1].data:
            yield f"{path}: differs from the version in git (commit {known[-1].rev}); restore it from there"
    elif not any(data == version.data for data in present.values() for version in known):
        yield f"{path}: was committed to git in {first.rev}, and is gone; restore it from there"


def _receipt_changes(path: str, known: Sequence[Committed], present: bytes | None) -> Iterator[str]:
    """Receipts are added, one by one, and neither changed nor taken away."""
    now = Committed("the file as it is now", present or b"{}")
    for earlier, later in zip(known, [*known[1:], now], strict=True):
        before, after = _receipts(earlier.data), _receipts(later.data)
        yield from (
            f"{path}: the receipt of {name}, committed to git in {earlier.rev}, is another one or gone in "
            f"{later.rev}"
            for name, receipt in before.items()
            if after.get(name) != receipt and receipt not in after.values()
        )


def _receipts(data: bytes) -> dict[str, object]:
    try:
        value = parse_json(data.decode())
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
