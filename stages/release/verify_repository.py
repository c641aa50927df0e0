"""The second half of `bluepencil verify`: from `dvc.lock` to git, the cache and the raw files."""

from pathlib import Path
from typing import NamedTuple

from stages.files.hashing import sha256_hex
from stages.release.lineage import EVIDENCE, SUMS, Lineage, Misfit, sums_in_tag
from stages.release.lock_chain import LOCK, Entry, LockedStage, all_entries
from stages.repository.dvc import cache_folder, check_cached, md5_bytes, md5_file, md5_folder
from stages.repository.git import file_at, files_under, has_revision, tag_commit_and_message
from stages.run.progress import track
from stages.study.folder import COMMITMENT, study_folder

N_SHOWN = 10


class RepositoryCheck(NamedTuple):
    """What does not match, and what to say of the rest."""

    misfits: list[Misfit]
    lines: list[str]


class Found(NamedTuple):
    """Where an entry of the lock was looked for, and the hash that was found there."""

    place: str
    md5: str


def check_repository(
    folder: Path, lineage: Lineage, stages: list[LockedStage], sums_sha256: str
) -> RepositoryCheck | None:
    """Follow the release into the repository around the current folder; None where it is another or none."""
    rev = lineage.git_revision
    if not has_revision(rev):
        return None
    misfits = [*check_tag(lineage, sums_sha256), *check_copies(folder, lineage), *check_study_at(lineage)]
    matched: dict[str, int] = {}
    absent = []
    cache = cache_folder()
    entries = all_entries(stages)
    for entry in track(entries, total=len(entries), label="verify", unit="hashes"):
        found = look_for(entry, rev, cache)
        place = next((one.place for one in found if one.md5 == entry.md5), None)
        if place:
            matched[place] = matched.get(place, 0) + 1
        elif found:
            rule = f"has changed since {LOCK} recorded it ({found[0].place})"
            misfits.append(Misfit(entry.path, rule, entry.md5, found[0].md5))
        else:
            absent.append(entry.path)
    where = ", ".join(f"{n} in {place}" for place, n in sorted(matched.items()))
    lines = [f"  git revision {rev}, tag {lineage.tag}: the same {LOCK}, parameters, metrics and pages"]
    n_matched = sum(matched.values())
    lines.append(f"  of {len(entries)} hashes in {LOCK}, {n_matched} were computed again and match: {where}")
    if absent:
        more = f" and {len(absent) - N_SHOWN} more" if len(absent) > N_SHOWN else ""
        lines.append(f"  not at hand, so not checked (`dvc pull`): {', '.join(absent[:N_SHOWN])}{more}")
    return RepositoryCheck(misfits, lines)


def check_tag(lineage: Lineage, sums_sha256: str) -> list[Misfit]:
    """Does the annotated tag name this revision and this `SHA256SUMS`?"""
    found = tag_commit_and_message(lineage.tag)
    if found is None:
        return [
            Misfit(
                f"git tag {lineage.tag}", "is not there; `git fetch --tags`", lineage.git_revision, "no tag"
            )
        ]
    commit, message = found
    misfits = []
    if commit != lineage.git_revision:
        rule = "points to another revision than the lineage names"
        misfits.append(Misfit(f"git tag {lineage.tag}", rule, lineage.git_revision, commit))
    vouched = sums_in_tag([message])
    if vouched != sums_sha256:
        rule = f"is not the one that the git tag {lineage.tag} vouches for"
        misfits.append(Misfit(SUMS, rule, vouched or "a hash in the tag's message", sums_sha256))
    return misfits


def check_copies(folder: Path, lineage: Lineage) -> list[Misfit]:
    """Does every copy in `evidence/` have the bytes that git has at the revision?"""
    misfits = []
    for name in sorted(lineage.files):
        path = name.removeprefix(f"{EVIDENCE}/")
        if path == name or not (folder / name).is_file():
            continue
        committed = file_at(lineage.git_revision, path)
        expected = "no such file" if committed is None else sha256_hex(committed)
        found = sha256_hex((folder / name).read_bytes())
        if expected != found:
            misfits.append(Misfit(name, f"differs from {path} in git", expected, found))
    return misfits


def check_study_at(lineage: Lineage) -> list[Misfit]:
    """Is the study's commitment in git the one that the lineage names?"""
    if lineage.study is None:
        return []
    path = (study_folder(lineage.study.study_id) / COMMITMENT).as_posix()
    misfits = []
    for rev in (lineage.study.opened_in, lineage.git_revision):
        data = file_at(rev, path)
        found = "no such file" if data is None else sha256_hex(data)
        if found != lineage.study.commitment_sha256:
            misfits.append(
                Misfit(path, f"differs in git at {rev[:7]}", lineage.study.commitment_sha256, found)
            )
    return misfits


def look_for(entry: Entry, rev: str, cache: Path | None) -> list[Found]:
    """The entry's hash, computed again wherever its bytes may be: git, the cache, the workspace."""
    found = []
    in_git = md5_in_git(entry.path, rev)
    if in_git:
        found.append(Found("git", in_git))
    cached = check_cached(cache, entry.md5) if cache else None
    if cached and cached.found and not cached.n_missing:
        found.append(Found("the cache", cached.found))
    if any(one.md5 == entry.md5 for one in found):
        return found
    path = Path(entry.path)
    if path.is_file():
        found.append(Found("the workspace", md5_file(path)))
    elif path.is_dir():
        inside = {one.relative_to(path).as_posix(): md5_file(one) for one in path.rglob("*") if one.is_file()}
        found.append(Found("the workspace", md5_folder(inside)))
    return found


def md5_in_git(path: str, rev: str) -> str | None:
    """DVC's hash of a file or folder as git has it at `rev`; None where git has nothing of that name."""
    if Path(path).is_absolute():
        return None
    data = file_at(rev, path)
    if data is not None:
        return md5_bytes(data)
    inside = files_under(rev, path)
    md5s = {name.removeprefix(f"{path}/"): md5_bytes(file_at(rev, name) or b"") for name in inside}
    return md5_folder(md5s) if md5s else None
