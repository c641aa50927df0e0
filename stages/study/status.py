"""The state of a study: what does not fit its seal, its receipts, its secret and git, and what comes next."""

from typing import Literal, NamedTuple

from stages.errors import StudyError
from stages.run import paths
from stages.run.params import Params
from stages.run.progress import waiting
from stages.study.check import Study, StudyFiles, check_study
from stages.study.folder import (
    COMMITMENT,
    KEY,
    current_study_id,
    read_bytes,
    read_study,
    refuse_no_id,
    study_folder,
)
from stages.study.history import History, check_history
from stages.study.seal import LABELS, REHEARSAL
from stages.study.secret import derive_key, secret_file


class State(NamedTuple):
    """A study as it was read; `problems` names everything that does not fit, of whatever kind."""

    files: StudyFiles
    study: Study
    problems: list[str]
    history: History
    secret: str  # "" where there is none to look for any more

    @property
    def missing(self) -> list[str]:
        """Editors without a sound ballot."""
        pages = self.study.commitment.pages if self.study.commitment else {}
        return sorted(set(pages) - set(self.study.ballots))


def read_state(params: Params, study_id: str) -> State:
    """Read and check everything there is of a study; StudyError where it is not open."""
    refuse_unknown(study_id)
    files = read_study(study_id)
    study = check_study(files)
    history = check_history(study_id)
    problems = [*study.problems, *history.problems]
    if files.first_look is not None:
        problems += [
            f"first look, study {files.first_look.study_id}: {problem}"
            for problem in check_history(files.first_look.study_id).problems
        ]
    secret = ""
    if files.key is None and study.commitment is not None:
        path = secret_file(params, study_id)
        secret = f"{path}: the secret is not there; the custodian needs it to reveal the key"
        if read_bytes(path) is not None:
            secret = f"{path}: draws the sealed key"
            try:
                derive_key(path, files, study.commitment, study.table)
            except StudyError as error:
                secret = str(error) if not study.problems else f"{path}: not checked before the files fit"
                problems += [] if study.problems else [str(error)]
    return State(files, study, problems, history, secret)


def refuse_unknown(study_id: str) -> None:
    """StudyError where no study of this id is open, with the ways out."""
    refuse_no_id(study_id)
    if study_folder(study_id).is_dir():
        return
    raise StudyError(
        f"{study_folder(study_id)}: study {study_id} is not open "
        f"(open are: {', '.join(opened_studies()) or 'none'})\n"
        "  to open it: `bluepencil study open`; if it was open before, items or completions have changed: "
        "`dvc checkout` brings them back"
    )


def opened_studies() -> list[str]:
    """The ids of all studies that have a folder, rehearsals too."""
    return sorted(path.parent.name for path in paths.STUDY.glob(f"*/{COMMITMENT}"))


def status_lines(params: Params) -> list[str]:
    """The study of the present texts, and open ones of other texts."""
    study_id = current_study_id()
    lines = [f"study {study_id}: not open", "next: bluepencil study open"]
    if study_folder(study_id).is_dir():
        lines = state_lines(read_state(params, study_id))
    others = [
        other
        for other in opened_studies()
        if other != study_id
        and not other.startswith((REHEARSAL, LABELS))
        and not (study_folder(other) / KEY).exists()
    ]
    for other in others:
        state = read_state(params, other)
        lines += [
            f"study {other} is open and of other texts than {paths.BLIND_ITEMS} has now: the models, the "
            "parameters or this version of the code write others",
            "  `dvc checkout` brings the texts back where git has their dvc.lock; without them it goes on "
            f"from its sealed files: collect ballots, then `bluepencil study reveal {other}` and `bluepencil "
            f"study verify {other}` for its win rate, which counts for no gate of the present texts",
            *(f"  {line}" for line in state_lines(state)),
        ]
    return lines


def state_lines(state: State) -> list[str]:
    """One line per editor, problems, files unknown to git, and the next step."""
    files, study = state.files, state.study
    lines = [f"study {files.study_id}: {'revealed' if files.key else 'open'}"]
    for editor, page in sorted(study.commitment.pages.items() if study.commitment else ()):
        ballot = study.ballots.get(editor)
        answers = f"{len(ballot.answers)} of {len(page.slot_ids)} answers" if ballot else "ballot missing"
        lines.append(f"  {editor}: {answers}")
    lines += [f"secret: {state.secret}"] if state.secret and state.secret not in state.problems else []
    lines += [f"problem: {problem}" for problem in state.problems]
    lines += [f"not in git: {path}" for path in state.history.uncommitted]
    return [*lines, *note_lines(state), f"next: {next_step(state)}"]


def note_lines(state: State) -> list[str]:
    """What is no fault of anybody and still to be known."""
    notes = [state.history.note] if state.history.note else []
    if state.files.crlf:
        notes.append(
            f"only the line ends differ (CRLF for LF), the content is what was sealed: "
            f"{', '.join(state.files.crlf)}; git converts them here: keep .gitattributes as it came, and "
            "check the files out again"
        )
    return [f"note: {note}" for note in notes]


def next_step(state: State) -> str:
    """The one thing to do now."""
    files, missing = state.files, state.missing
    if state.problems:
        return "put the problems above right; see docs/custodian-guide.md"
    if state.history.uncommitted:
        return (
            "git add and git commit the files above; `dvc exp run --temp` and `--queue` see only what git has"
        )
    group = "labels" if files.study_id.startswith(LABELS) else "study"
    if missing and not files.key:
        return f"wait for {', '.join(missing)}; then `bluepencil {group} collect FILE --receipt ...`"
    if not files.key:
        return f"bluepencil {group} reveal"
    if group == "labels":
        return f"copy {study_folder(files.study_id)}/votes.jsonl to data/kept/ and name it in `data.votes`"
    return "bluepencil repro winrate"


def report_lines(state: State) -> list[str]:
    """What `verify` checked and found sound, and what could not be checked."""
    files, study = state.files, state.study
    n_pages = len(study.commitment.pages) if study.commitment else 0
    absent = [str(paths.BLIND_ITEMS)] if files.items is None else []
    absent += [str(paths.generations(m)) for m in ("base", "policy") if m not in files.generations]
    return [
        f"study {files.study_id}: every file fits the seal",
        f"  pages: {n_pages}, item table: {len(study.table)} prompts, "
        f"ballots: {len(study.ballots)} of {n_pages}",
        f"  key: {'revealed and drawn again from its secret' if study.key else 'sealed'}",
        *([f"  secret: {state.secret}"] if state.secret else []),
        *result_lines(files, study),
        *(f"  ballot missing: {editor}" for editor in state.missing),
        *(f"  no receipt recorded: {name}" for name in sorted(set(files.ballots) - set(files.receipts))),
        *(f"  not in git yet, so not compared with it: {path}" for path in state.history.uncommitted),
        *(f"  not checked, not there: {path}" for path in absent),
        *(f"  {line}" for line in note_lines(state)),
    ]


def result_lines(files: StudyFiles, study: Study) -> list[str]:
    """The win rate, from key, item table and ballots alone, where all of them are there.

    Of a re-judging there is none: each of its screens has a side on record.
    """
    if files.study_id.startswith(LABELS):
        return []
    is_rehearsal = study.commitment is not None and study.commitment.synthetic
    section: Literal["winrate", "rehearsal"] = "rehearsal" if is_rehearsal else "winrate"
    with waiting("computing the win rate"):
        from stages.study.summary import summarise_study  # its statistics take seconds to load

        found = summarise_study(study, files, section=section).metrics
    if found["status"] != "complete":
        return []
    return [
        f"  {section}: {found['value']:.4f} (95 % range {found['low']:.4f} to {found['high']:.4f}), "
        f"{found['wins']} wins, {found['ties']} ties, {found['losses']} losses"
    ]
