"""`bluepencil study harvest`: a revealed study's votes, appended to a file of pairs in that file's form."""

from pathlib import Path

from stages.data.forms.tables import Table, open_pairs
from stages.errors import HarvestError, InputError, StudyError
from stages.files.io import locked_folder, replacing
from stages.files.json_text import dump_json
from stages.repository.dvc import cache_folder
from stages.repository.git import day_of_last_commit
from stages.run.params import load_params
from stages.run.progress import say
from stages.study.folder import ballots_folder, current_study_id, study_folder
from stages.study.harvest import harvest_rows, read_votes, source_of
from stages.study.seal import LABELS
from stages.study.status import State, read_state

ENDINGS = (".jsonl", ".ndjson")


def harvest(target: Path, study_id: str = "") -> None:
    """Append the votes to `target`; HarvestError before the reveal and the second time."""
    params = load_params()
    study_id = study_id or current_study_id()
    if target.suffix.lower() not in ENDINGS:
        raise InputError(f"{target}: ends in {target.suffix or 'nothing'!r}; rows are appended to .jsonl")
    state = read_state(params, study_id)
    refuse_unharvestable(state)
    votes = read_votes(state.files, state.study)
    day = day_of_last_commit(ballots_folder(study_id))
    mapping = params.data.columns if str(target) == params.data.pairs else {}
    file = behind_links(target)
    with locked_folder(file.parent):
        table = open_pairs(target, mapping) if target.exists() and target.stat().st_size else None
        refuse_twice(table, target, study_id)
        as_editors_form = table is None or table.columns.is_editors_form
        rows = harvest_rows(
            votes, study_id, reviewed_at=day.isoformat() if day else None, as_editors_form=as_editors_form
        )
        names = table.columns.names if table else {}
        append_lines(file, [dump_json({names.get(ours, ours): row[ours] for ours in row}) for row in rows])
    n_prompts, n_ties = len({vote.prompt_id for vote in votes}), sum(vote.choice == "tie" for vote in votes)
    say(f"{target}: {len(rows):,} votes on {n_prompts:,} prompts of study {study_id}, {n_ties} of them ties")
    if n_left := len(votes) - len(rows):
        say(f"{n_left} ties are left out: this file has chosen and rejected, which cannot say a tie")
    if any(vote.synthetic for vote in votes):
        say("they are marked synthetic: simulated editors, or made-up prompts")
    if day is None:
        say("reviewed_at is left out: git does not have the ballots")
    say(f"next: `bluepencil data check {target}`; the study's prompts are fresh no more, so bring new ones")


def refuse_unharvestable(state: State) -> None:
    """StudyError where files do not fit, HarvestError before the reveal."""
    folder, study_id = study_folder(state.files.study_id), state.files.study_id
    if study_id.startswith(LABELS):
        raise HarvestError(
            f"{folder}: holds pairs judged again; its votes.jsonl goes to `data.votes` in params.yaml"
        )
    if state.problems or state.study.commitment is None:
        lines = "\n  ".join(state.problems)
        raise StudyError(f"{folder}: files do not fit, so nothing is harvested\n  {lines}")
    if state.study.key is None:
        raise HarvestError(
            f"{folder}: the key is not revealed, so nobody knows that judging is over; `bluepencil study "
            "reveal` comes first"
        )


def behind_links(target: Path) -> Path:
    """The file itself: a new one would take the link's place. InputError for a file of DVC's cache."""
    if not target.is_symlink():
        return target
    file, cache = target.resolve(), cache_folder()
    if cache is not None and file.is_relative_to(cache.resolve()):
        raise InputError(f"{target}: is a link into DVC's cache; run `dvc unprotect {target}` first")
    return file


def refuse_twice(table: Table | None, target: Path, study_id: str) -> None:
    """HarvestError where the file has rows of this study: each vote would count twice."""
    source = source_of(study_id)
    for row in table.rows if table else ():
        if row.fields and row.fields.get("source") == source:
            raise HarvestError(f"{target}: line {row.line} has source {source}: it is harvested already")


def append_lines(target: Path, lines: list[str]) -> None:
    """Write the file anew with the lines at its end, in one step; what stood there stays byte for byte."""
    before = target.read_bytes() if target.exists() else b""
    if before and not before.endswith(b"\n"):
        before += b"\n"
    with replacing(target) as temporary:
        temporary.write_bytes(before + "".join(f"{line}\n" for line in lines).encode())
