"""`bluepencil study verify`: does every file of a study fit its seal, its receipts and git?"""

from pathlib import Path
from typing import Literal

from stages.cli.study.reveal import derive_key
from stages.errors import StudyError
from stages.repository.git import changed_files, commits_of
from stages.run import paths
from stages.run.params import Params, load_params
from stages.study.check import Study, StudyFiles, check_study
from stages.study.folder import COMMITMENT, current_study_id, read_study, refuse_no_id, study_folder
from stages.study.opening import secret_file
from stages.study.summary import summarise_study

N_COMMIT_DIGITS = 7


def verify(study_id: str) -> None:
    """Print what was checked; StudyError lists everything that does not fit."""
    study_id = study_id or current_study_id()
    refuse_unknown(study_id)
    files = read_study(study_id)
    study = check_study(files)
    problems = [*study.problems, *secret_problems(load_params(), files, study), *git_problems(study_id)]
    if problems:
        count = "1 file does" if len(problems) == 1 else f"{len(problems)} checks do"
        raise StudyError(f"{study_folder(study_id)}: {count} not fit\n  " + "\n  ".join(problems))
    print("\n".join(report_lines(files, study)))


def refuse_unknown(study_id: str) -> None:
    """StudyError where the items or generations changed since, so that no opened study has their id."""
    refuse_no_id(study_id)
    if study_folder(study_id).is_dir():
        return
    opened = sorted(path.name for path in paths.STUDY.iterdir() if path.is_dir())
    raise StudyError(
        f"{paths.BLIND_ITEMS}: makes study {study_id}, which is not open "
        f"(open are: {', '.join(opened) or 'none'})\n"
        "  if it was open before, items or completions have changed: `dvc checkout` brings them back"
    )


def secret_problems(params: Params, files: StudyFiles, study: Study) -> list[str]:
    """Does the secret, where it is on this machine, still draw the sealed key?"""
    path = secret_file(params, files.study_id)
    if study.problems or study.commitment is None or files.items is None or not path.exists():
        return []
    try:
        derive_key(params, files, study.commitment)
    except StudyError as error:
        return [str(error)]
    return []


def git_problems(study_id: str) -> list[str]:
    """Files that differ from what git has, and a commitment that was committed more than once."""
    folder = study_folder(study_id)
    problems = [f"{path}: differs from the version in git" for path in changed_files(folder) or []]
    commits = commits_of(folder / COMMITMENT) or []
    if len(commits) > 1:
        first = commits[-1][:N_COMMIT_DIGITS]
        problems.append(f"{folder / COMMITMENT}: was changed in git after its first commit {first}")
    return problems


def report_lines(files: StudyFiles, study: Study) -> list[str]:
    """What was checked and found sound, and what could not be checked."""
    pages = study.commitment.pages if study.commitment else {}
    missing = sorted(set(pages) - set(study.ballots))
    absent = [str(paths.BLIND_ITEMS)] if files.items is None else []
    absent += [str(paths.generations(m)) for m in ("base", "policy") if m not in files.generations]
    without = sorted(set(files.ballots) - set(files.receipts))
    lines = [
        f"study {files.study_id}: every file fits the seal",
        f"  pages: {len(pages)}, item table: {len(study.table)} prompts, "
        f"ballots: {len(study.ballots)} of {len(pages)}",
        f"  key: {'revealed and drawn again from its secret' if study.key else 'sealed'}",
    ]
    lines += result_lines(files, study)
    lines += [f"  ballot missing: {editor}" for editor in missing]
    lines += [f"  no receipt recorded: {name}" for name in without]
    lines += [f"  not checked, not there: {Path(path)}" for path in absent]
    return lines


def result_lines(files: StudyFiles, study: Study) -> list[str]:
    """The win rate, from key, item table and ballots alone, where all of them are there."""
    section: Literal["winrate", "rehearsal"] = "winrate"
    if study.commitment is not None and study.commitment.synthetic:
        section = "rehearsal"
    found = summarise_study(study, files, section=section).metrics
    if found["status"] != "complete":
        return []
    return [
        f"  {section}: {found['value']:.4f} (95 % range {found['low']:.4f} to {found['high']:.4f}), "
        f"{found['wins']} wins, {found['ties']} ties, {found['losses']} losses"
    ]
