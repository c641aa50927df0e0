"""`bluepencil verify`: from a release folder back to every input, saying what no longer matches."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from stages.decision.wording import plural
from stages.errors import InputError, ReleaseError
from stages.files.io import read_json, read_text, sha256_file
from stages.release.integrity import ReleaseFiles, check_files
from stages.release.lineage import EVIDENCE, LINEAGE, SUMS, Lineage, Misfit
from stages.release.lock_chain import (
    LOCK,
    LockedStage,
    check_chain,
    check_numbers,
    md5_of_out,
    parse_lock,
    upstream,
)
from stages.release.verify_repository import RepositoryCheck, check_repository
from stages.repository.dvc import md5_file, read_yaml
from stages.run import paths
from stages.run.progress import track, waiting

MODELS = (paths.BASE_MODEL.as_posix(), paths.POLICY_MODEL.as_posix())
UNCHAINED = {"params.yaml", "dvc.yaml", LOCK}  # no stage writes them


def verify(
    folder: Annotated[Path, typer.Argument(help="A release folder.")],
    sums: Annotated[
        str | None,
        typer.Option(metavar="SHA256", help="What SHA256SUMS must hash to, from a source you trust."),
    ] = None,
) -> None:
    """Check every byte of a release, and every number back to its inputs. Exit code 0: all fits, 1: not."""
    files = read_release(folder)
    checked = check_files(files)
    misfits = list(checked.misfits)
    found_sums = sha256_file(folder / SUMS)
    if sums is not None and sums.strip().lower() != found_sums:
        misfits.append(Misfit(SUMS, "is not the one you expect", sums.strip().lower(), found_sums))
    stages: list[LockedStage] = []
    repository: RepositoryCheck | None = None
    if checked.lineage is not None:
        with waiting("following the numbers to their inputs"):
            stages, chain = check_evidence(folder, checked.lineage)
        misfits += chain
        repository = check_repository(folder, checked.lineage, stages, found_sums)
        misfits += repository.misfits if repository else []
    if misfits:
        raise ReleaseError(describe_misfits(folder, misfits))
    assert checked.lineage is not None  # noqa: S101 - else there is a misfit
    print("\n".join(report_lines(folder, checked.lineage, stages, repository, trusted=sums is not None)))


def read_release(folder: Path) -> ReleaseFiles:
    """Hashes of everything in the folder; InputError where it is no release."""
    missing = [name for name in (SUMS, LINEAGE) if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder}: is no release folder: {' and '.join(missing)} missing")
    inside = sorted(path for path in folder.rglob("*") if not own_of_tools(path.relative_to(folder)))
    plain = [path for path in inside if path.is_file() and not path.is_symlink()]
    strange = [path for path in inside if path.is_symlink() or not (path.is_file() or path.is_dir())]
    return ReleaseFiles(
        hashes={
            path.relative_to(folder).as_posix(): sha256_file(path)
            for path in track(plain, total=len(plain), label="verify", unit="files")
        },
        strange=tuple(path.relative_to(folder).as_posix() for path in strange),
        sums=(folder / SUMS).read_bytes(),
        lineage=(folder / LINEAGE).read_bytes(),
    )


def own_of_tools(path: Path) -> bool:
    """Folders that git and the hub's client keep beside what they downloaded."""
    return path.parts[0] in (".git", ".cache")


def check_evidence(folder: Path, lineage: Lineage) -> tuple[list[LockedStage], list[Misfit]]:
    """The chain inside the folder: numbers in metrics files, metrics files in dvc.lock, stage to stage."""
    copies = folder / EVIDENCE
    try:
        stages = parse_lock(read_yaml(read_text(copies / LOCK), f"{EVIDENCE}/{LOCK}"))
        params: Any = read_yaml(read_text(copies / "params.yaml"), f"{EVIDENCE}/params.yaml")
        documents = {name: read_json(copies / name) for name in {one.file for one in lineage.numbers}}
        model = {path: md5_of_out(stages, path) for path in MODELS}
    except (InputError, ValueError) as error:
        return [], [Misfit(f"{EVIDENCE}/{LOCK}", "cannot be followed", "a chain", str(error))]
    names = [name.removeprefix(f"{EVIDENCE}/") for name in lineage.files if name.startswith(f"{EVIDENCE}/")]
    md5s = {
        name: md5_file(copies / name) for name in names if name not in UNCHAINED and (copies / name).is_file()
    }
    misfits = [*check_chain(stages, md5s=md5s, params=params), *check_numbers(lineage.numbers, documents)]
    for path, stated in (
        ("models/base", lineage.model.base_md5),
        ("models/policy", lineage.model.policy_md5),
    ):
        if model[path] != stated:
            misfits.append(Misfit(path, f"the lineage names another than {LOCK}", model[path], stated))
    return stages, misfits


def describe_misfits(folder: Path, misfits: list[Misfit]) -> str:
    """All misfits, each with what was expected and what was found."""
    lines = [
        f"{one.file}: {one.rule}\n    expected {one.expected}\n    found    {one.found}" for one in misfits
    ]
    things = "1 thing does" if len(lines) == 1 else f"{len(lines)} things do"
    return f"{folder}: {things} not match\n  " + "\n  ".join(lines)


def report_lines(
    folder: Path,
    lineage: Lineage,
    stages: list[LockedStage],
    repository: RepositoryCheck | None,
    *,
    trusted: bool,
) -> Iterator[str]:
    """What was checked and holds, how far it was followed, and what vouches for it."""
    yield f"{folder}: {lineage.tag}, {len(lineage.files) + 2} files, every byte as released"
    if lineage.decision.override:
        yield f"  released although {lineage.decision.overall}: {lineage.decision.override}"
    for file, n_numbers in sorted(Counter(number.file for number in lineage.numbers).items()):
        names, raw = upstream(stages, file)
        data = [entry.path for entry in raw if not entry.path.startswith("stages/")]
        yield f"  {file}: {plural(n_numbers, 'number')}, md5 {md5_of_out(stages, file)} in {LOCK}"
        yield f"    <- {' <- '.join(names)} <- {', '.join(data)} and {len(raw) - len(data)} files of code"
    if repository is not None:
        yield from repository.lines
    else:
        yield f"  not followed further: git revision {lineage.git_revision} is not in a repository here"
    yield "what vouches for it:"
    yield f"  {SUMS} for every file; {LINEAGE}, sealed by a hash of its own content, for {SUMS}"
    if repository is not None:
        yield f"  the git tag {lineage.tag} for {SUMS} (SHA-256 {sha256_file(folder / SUMS)})"
    elif trusted:
        yield f"  the SHA-256 you gave for {SUMS}"
    else:
        yield (
            "  nothing outside of the folder, so whoever rewrote all of it would pass: run this in the "
            f"repository, or give --sums the SHA-256 that the message of the git tag {lineage.tag} has"
        )
