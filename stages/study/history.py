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
    first, now = known[0], present.get(path)
    if now is None and first.data not in present.values():
        yield f"{path}: was committed to git in {first.rev}, and is gone; restore it from there"
    elif now is not None and now != first.data:
        later = next((version for version in known if version.data == now), None)
        if later is None:
            yield f"{path}: differs from the version in git (commit {first.rev}); restore it from there"
        else:
            yield f"{path}: was changed in git by commit {later.rev} after its first commit {first.rev}"


def _receipt_changes(path: str, known: Sequence[Committed], present: bytes | None) -> Iterator[str]:
    """Receipts are added, one by one, and neither changed nor taken away."""
    now, seen = _receipts(present or b"{}"), set[str]()
    for version in known:
        for name, receipt in _receipts(version.data).items():
            if name not in seen and now.get(name) != receipt and receipt not in now.values():
                since = f"committed to git in {version.rev}"
                yield f"{path}: the receipt of {name}, {since}, is another one or gone"
            seen.add(name)


def _receipts(data: bytes) -> dict[str, object]:
    try:
        value = parse_json(data.decode())
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
