"""What a custodian does: open a re-judging, collect its ballots, reveal it."""

import contextlib
import secrets
from pathlib import Path

from stages.decision.wording import listed
from stages.errors import StudyError
from stages.files.hashing import sha256_hex
from stages.files.io import read_jsonl, write_json, write_jsonl, write_text
from stages.files.pairs import SplitPair, split_sha256
from stages.labelling.ranking import DoubtRow
from stages.labelling.rejudging import (
    RejudgedPair,
    choose_pairs,
    item_ids,
    make_opening,
    pairs_bytes,
    sealed_pairs_file,
)
from stages.run import paths
from stages.run.params import Params, load_params
from stages.run.progress import say
from stages.study.ballots import Ballot, BrokenBallotError, read_ballot
from stages.study.collecting import collect_ballot, restore_export
from stages.study.design import SECRET_BYTES
from stages.study.folder import KEY, ballots_folder, read_bytes, study_folder
from stages.study.opening import establish
from stages.study.seal import LABELS
from stages.study.secret import derive_key, record_reveal, refuse_missing, refuse_secret_in_git, secret_file
from stages.study.status import State, opened_studies, read_state, report_lines, state_lines

PAIRS, RESULT, NEW_VOTES = "pairs.jsonl", "result.json", "votes.jsonl"


def open_rejudging() -> None:
    """Draw lots and write one page per editor; StudyError where one is open or the ranking is older."""
    params = load_params()
    if opened := [name for name in rejudgings() if not (study_folder(name) / KEY).exists()]:
        raise StudyError(
            f"{study_folder(opened[0])}: pairs are being judged again already; see `bluepencil labels status`"
        )
    refuse_secret_in_git(Path(params.study.secret_path))
    pairs, ranking = eligible_pairs(), read_jsonl(paths.DOUBT, DoubtRow)
    if {pair.pair_id for pair in pairs} != {row.pair_id for row in ranking}:
        raise StudyError(
            f"{paths.DOUBT}: ranks other pairs than the split has; run `bluepencil repro labels`"
        )
    shown = [pair for pair in pairs if pair.messages is None]
    if len(shown) < len(pairs):
        say(f"{len(pairs) - len(shown)} pairs are conversations of several turns and are left out")
    secret = secrets.token_bytes(SECRET_BYTES)
    n = params.labels.n_doubtful
    if n > len(shown):
        raise StudyError(f"labels.n_doubtful: {n} wanted, {len(shown)} pairs there; set {len(shown)} or less")
    chosen = choose_pairs(shown, ranking, n=n, secret=secret, split_sha256=present_split())
    data = pairs_bytes(chosen)
    opening = make_opening(chosen, params, secret=secret, sha256=sha256_hex(data))
    path = establish(params, opening)
    sealed = sealed_pairs_file(params, opening.study_id)
    write_text(sealed, data.decode())
    sealed.chmod(0o600)
    folder = study_folder(opening.study_id)
    say(f"opened {folder}: {len(chosen)} pairs, one page for each of {', '.join(opening.prereg.editors)}")
    say(f"secret: {path} and {sealed.name} beside it (keep copies; without them nothing can be revealed)")
    ballots = ballots_folder(opening.study_id)
    say(f"next: git add {folder} {ballots} && git commit, then send each editor their page")


def eligible_pairs() -> list[SplitPair]:
    """All pairs whose labels may be doubted: those to learn from and to choose by, none that is held out."""
    return [
        *read_jsonl(paths.TRAIN_PAIRS, SplitPair),
        *read_jsonl(paths.SELECTION_PAIRS, SplitPair),
    ]


def present_split() -> str:
    """The hash that names the split of today."""
    return split_sha256(read_jsonl(paths.HOLDOUT_PAIRS, SplitPair))


def rejudgings() -> list[str]:
    """The ids of all re-judgings that were opened."""
    return [name for name in opened_studies() if name.startswith(LABELS)]


def settle_id(name: str) -> str:
    """The re-judging that is meant: the named one, or the only one that is not revealed."""
    there = rejudgings()
    open_ones = [one for one in there if not (study_folder(one) / KEY).exists()]
    if name in there:
        return name
    if not name and open_ones:
        return open_ones[0]
    if not name and there:
        return there[-1]
    if not there:
        raise StudyError("no pair has been judged again yet; `bluepencil labels open` begins")
    raise StudyError(f"{study_folder(name)}: no pairs are judged again under this name, only {listed(there)}")


def collect(path: Path, *, receipt: str) -> None:
    """Put a ballot into its re-judging; StudyError where it belongs to none or does not fit."""
    data = read_bytes(path)
    ballot: Ballot | None = None
    with contextlib.suppress(BrokenBallotError):  # collect_ballot says what it is instead
        ballot = read_ballot(restore_export(data or b""))
    if ballot is not None and ballot.study_id not in rejudgings():
        raise StudyError(
            f"{path}: is of {ballot.study_id}, and no pairs are judged again under it; a study's "
            "ballot goes to `bluepencil study collect`"
        )
    collect_ballot(path, receipt=receipt)


def say_status(name: str) -> list[str]:
    """Who is missing, what is wrong and what to do next."""
    return state_lines(read_state(load_params(), settle_id(name)))


def verify(name: str) -> list[str]:
    """What was checked and found sound; StudyError naming every file that does not fit."""
    params = load_params()
    study_id = settle_id(name)
    state = read_state(params, study_id)
    problems = [*state.problems, *pairs_problems(params, state)]
    if problems:
        raise StudyError(f"{study_folder(study_id)}: files do not fit\n  " + "\n  ".join(problems))
    return [line for line in report_lines(state) if not line.lstrip().startswith("not checked, not")]


def pairs_file(params: Params, state: State) -> Path:
    """The sealed pairs: beside the secret before the reveal, beside the key after it."""
    study_id = state.files.study_id
    return study_folder(study_id) / PAIRS if state.files.key else sealed_pairs_file(params, study_id)


def pairs_problems(params: Params, state: State) -> list[str]:
    """Why the file of the pairs is not the one that was sealed."""
    path, commitment = pairs_file(params, state), state.study.commitment
    data = read_bytes(path)
    if data is None:
        return [f"{path}: is missing; restore it from the custodian's copy, or from git after the reveal"]
    if commitment and sha256_hex(data) != commitment.items_sha256:
        return [f"{path}: differs from what was sealed; restore it from the custodian's copy, or from git"]
    return []


def reveal(name: str, *, despite_missing: str) -> None:
    """Write the key, the pairs, the result and the votes; StudyError where anything does not fit."""
    from stages.labelling.outcome import describe_outcome, outcome_lines, read_votes, vote_rows
    from stages.study.unblind import unblind  # their statistics take seconds to load

    params = load_params()
    study_id = settle_id(name)
    state = read_state(params, study_id)
    commitment, folder = state.study.commitment, study_folder(study_id)
    problems = [*state.problems, *pairs_problems(params, state)]
    if problems or commitment is None:
        raise StudyError(f"{folder}: files do not fit, so nothing is revealed\n  " + "\n  ".join(problems))
    if state.files.key is not None:
        raise StudyError(
            f"{folder / KEY}: the key is revealed already; {folder / RESULT} has what came of it"
        )
    refuse_missing(state.missing, despite_missing)
    sealed = sealed_pairs_file(params, study_id)
    pairs = read_jsonl(sealed, RejudgedPair)
    if (now := present_split()) != pairs[0].split_sha256:
        raise StudyError(
            f"{folder}: judges pairs of split {pairs[0].split_sha256[:12]} again, and the split is now "
            f"{now[:12]}\n  check out the commit of that split and run `dvc checkout`, then reveal; votes "
            "stay good for the pairs that are still there"
        )
    key = derive_key(secret_file(params, study_id), state.files, commitment, state.study.table)
    judgements = unblind(state.study.ballots, key, state.study.table).judgements
    votes = read_votes(judgements, item_ids(bytes.fromhex(key.secret), pairs))
    result = describe_outcome(votes, eligible_pairs())
    write_text(folder / PAIRS, (read_bytes(sealed) or b"").decode())
    write_json(folder / RESULT, {"labels": result})
    write_jsonl(folder / NEW_VOTES, vote_rows(votes))
    say(f"revealed {record_reveal(state.files, key, state.missing, despite_missing)}")
    print("\n".join(outcome_lines(result)))
    kept = paths.KEPT / NEW_VOTES
    say(
        f"votes: {folder / NEW_VOTES}; they change nothing before you say so: copy the file to {kept}, "
        f"set `data.votes: {kept}` in params.yaml, and see `bluepencil data check`"
    )
    say("next: git add study && git commit")
