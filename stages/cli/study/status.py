"""`bluepencil study status` and `collect`: who is missing, what is wrong, what comes next."""

from pathlib import Path

from stages.errors import StudyError
from stages.files.hashing import sha256_hex
from stages.files.io import replacing, write_json
from stages.repository.git import tracked_files
from stages.run.progress import say
from stages.study.ballots import Ballot, BrokenBallotError, read_ballot
from stages.study.check import Study, StudyFiles, check_study
from stages.study.folder import (
    KEY,
    RECEIPTS,
    ballot_files,
    ballots_folder,
    current_study_id,
    read_bytes,
    read_receipts,
    read_study,
    study_folder,
)


def print_status() -> None:
    """Print the state of the current items' study to stdout."""
    study_id = current_study_id()
    if not study_folder(study_id).exists():
        print(f"study {study_id}: not open\nnext: bluepencil study open")
        return
    files = read_study(study_id)
    print("\n".join(status_lines(files, check_study(files))))


def status_lines(files: StudyFiles, study: Study) -> list[str]:
    """One line per editor, problems, files unknown to git, and the next step."""
    pages = study.commitment.pages if study.commitment else {}
    lines = [f"study {files.study_id}: {'revealed' if files.key else 'open'}"]
    for editor, page in sorted(pages.items()):
        ballot = study.ballots.get(editor)
        state = f"{len(ballot.answers)} of {len(page.slot_ids)} answers" if ballot else "ballot missing"
        lines.append(f"  {editor}: {state}")
    lines += [f"problem: {problem}" for problem in study.problems]
    untracked = untracked_files(files.study_id)
    lines += [f"not in git: {path}" for path in untracked]
    return [*lines, f"next: {next_step(files, study, untracked)}"]


def next_step(files: StudyFiles, study: Study, untracked: list[str]) -> str:
    """The one thing to do now."""
    if study.problems:
        return "mend the problems above; see docs/custodian-guide.md"
    if untracked:
        return (
            "git add and git commit the files above; `dvc exp run --temp` and `--queue` see only what git has"
        )
    missing = sorted(set(study.commitment.pages if study.commitment else ()) - set(study.ballots))
    if missing and not files.key:
        return f"wait for {', '.join(missing)}; then `bluepencil study collect FILE --receipt ...`"
    if not files.key:
        return "bluepencil study reveal"
    return "bluepencil repro winrate"


def untracked_files(study_id: str) -> list[str]:
    """Files of the study that git does not track; none where there is no git repository."""
    found = [*sorted(study_folder(study_id).glob("*")), *ballot_files(study_id)]
    tracked = tracked_files()
    return [] if tracked is None else [str(path) for path in found if str(path) not in {*tracked}]


def collect_ballot(path: Path, *, receipt: str) -> None:
    """Copy a ballot, byte for byte, into the study's folder; StudyError where it does not fit or differs."""
    data = read_bytes(path)
    if data is None:
        raise StudyError(f"{path}: no such file; name the one that the editor sent")
    try:
        ballot = read_ballot(data)
    except BrokenBallotError as error:
        raise StudyError(f"{path}: {error}; ask the editor to export it again") from error
    files = read_study(current_study_id())
    if files.key is not None:
        raise StudyError(
            f"{study_folder(files.study_id) / KEY}: the key is revealed, so no further ballot counts"
        )
    name = f"{ballot.editor}.json"
    refuse_replacing(files, ballot, name, data)
    refuse_other_receipt(path, data, receipt)
    refuse_misfit(path, files, name, data)

    target = ballots_folder(files.study_id) / name
    with replacing(target) as temporary:
        temporary.write_bytes(data)
    if receipt:
        write_json(target.parent / RECEIPTS, {**read_receipts(files.study_id), name: sha256_hex(data)})
    said = (
        "receipt checked"
        if receipt
        else f"ask {ballot.editor} for the receipt; it must be {sha256_hex(data)}"
    )
    say(f"collected {target}; {said}; next: git add {target.parent} && git commit")


def refuse_replacing(files: StudyFiles, ballot: Ballot, name: str, data: bytes) -> None:
    """Ballots are append-only."""
    there = files.ballots.get(name)
    if there is not None and there != data:
        raise StudyError(
            f"{ballots_folder(files.study_id) / name}: {ballot.editor} has handed in another ballot already"
        )


def refuse_other_receipt(path: Path, data: bytes, receipt: str) -> None:
    """StudyError where the file is not the one whose receipt the editor sent; spaces do not matter."""
    wanted = "".join(receipt.split()).lower()
    if wanted and wanted != sha256_hex(data):
        raise StudyError(f"{path}: its SHA-256 is {sha256_hex(data)}, and the editor's receipt says {wanted}")


def refuse_misfit(path: Path, files: StudyFiles, name: str, data: bytes) -> None:
    """StudyError where the study would have a problem that it had not before."""
    before = set(check_study(files).problems)
    study = check_study(files._replace(ballots={**files.ballots, name: data}))
    new = [problem for problem in study.problems if problem not in before]
    if new:
        raise StudyError(f"{path}: does not fit\n  " + "\n  ".join(new))
