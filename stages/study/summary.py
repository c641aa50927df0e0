"""What `metrics/winrate.json` says: pending, invalid or complete, why, and the numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from stages.measures.intervals import wilson_interval
from stages.study.check import Study, StudyFiles, check_study
from stages.study.items import BlindItem
from stages.study.prereg import Prereg, z_of_look
from stages.study.remarks import remarks
from stages.study.seal import Key, TableRow
from stages.study.unblind import Unblinded, by_prompt, join, unblind
from stages.study.winrate import POINTS, Outcome, WinRate, estimate_winrate
from stages.study.winrate_secondary import secondary_metrics

Status = Literal["pending", "invalid", "complete"]

N_PROBLEMS_SHOWN = 3


class Tables(NamedTuple):
    """Rows for plots; empty until the study is complete. The last column marks a rehearsal."""

    editors: list[tuple[str, float, float, float, int, bool]]  # editor, value, low, high, n
    prompts: list[tuple[str, float, float, bool]]  # prompt id, relative length, mean score
    sides: list[tuple[str, int, int, int, bool]]  # editor, n_left, n_tie, n_right over all screens


class Summary(NamedTuple):
    """The metrics, without nulls, and the plots' rows."""

    section: Literal["winrate", "rehearsal"]
    metrics: dict[str, Any]
    tables: Tables


EMPTY = Tables([], [], [])


def summarise(
    study_id: str,
    items: Sequence[BlindItem],
    *,
    real: StudyFiles | None,
    rehearsal: StudyFiles | None,
    n_editors: int,
) -> Summary:
    """The study of the current items, or its rehearsal while the real one has neither ballot nor key."""
    if rehearsal is not None and (real is None or not (real.ballots or real.key)):
        return summarise_study(check_study(rehearsal), rehearsal, section="rehearsal")
    if real is not None:
        return summarise_study(check_study(real), real, section="winrate")
    counts = _counts([(item.status, item.synthetic) for item in items])
    reason = "No study is open for these completions. Run `bluepencil study open`."
    waiting = _waiting("pending", study_id, reason, counts, n_expected=n_editors, n_received=0)
    return Summary("winrate", waiting, EMPTY)


def summarise_study(study: Study, files: StudyFiles, *, section: Literal["winrate", "rehearsal"]) -> Summary:
    """The state of an opened study; `problems` of any kind make it invalid."""
    looks = [look for look in (study.first_look, study) if look is not None]
    counts = _counts([(row.status, row.synthetic) for look in looks for row in look.table])
    counts["n_synthetic"] += sum(ballot.synthetic for look in looks for ballot in look.ballots.values())
    n_expected = len(study.commitment.pages) if study.commitment else 0
    status, reason = _status(study, counts)
    metrics = _waiting(
        status, files.study_id, reason, counts, n_expected=n_expected, n_received=len(study.ballots)
    )
    if status != "complete" or study.key is None or files.parsed_prereg is None:
        return Summary(section, metrics, EMPTY)

    prereg = files.parsed_prereg
    z = z_of_look(prereg.looks, len(looks))
    unblinded = join([unblind(look.ballots, look.key, look.table) for look in looks if look.key])
    outcomes = by_prompt(unblinded.judgements, prereg.editors)
    lengths = {i: length for look in looks for i, length in relative_lengths(look.key, look.table).items()}
    rate = estimate_winrate(list(outcomes.values()), z=z)
    secondary = secondary_metrics(
        outcomes, unblinded, lengths, editors=prereg.editors, z=z, salt=files.study_id
    )
    tables = make_tables(unblinded, outcomes, lengths, looks, prereg, is_rehearsal=section == "rehearsal")
    metrics |= {"look": len(looks), "looks": prereg.looks, "z": z}
    metrics |= {"min_share": prereg.min_share, "chance": prereg.chance}  # what the gate was registered with
    editors = {row[0]: {"value": row[1], "low": row[2], "high": row[3]} for row in tables.editors}
    said = remarks(secondary, prereg.soundness)
    metrics |= {"remarks": " ".join(said)} if said else {}  # no empty text: DVC shows what is there
    return Summary(
        section, {**metrics, **rate_metrics(rate), "editors": editors, "secondary": secondary}, tables
    )


def relative_lengths(key: Key | None, table: Sequence[TableRow]) -> dict[str, float]:
    """item id -> (policy - base) characters over their mean; 0 where both are empty."""
    lengths = {}
    for row in table if key else ():
        policy, base = row.n_chars
        if key and key.policy_sha256[row.item_id] != row.text_sha256s[0]:
            policy, base = base, policy
        lengths[row.item_id] = 2 * (policy - base) / (policy + base) if policy + base else 0.0
    return lengths


def make_tables(
    unblinded: Unblinded,
    outcomes: Mapping[str, Sequence[Outcome]],
    lengths: Mapping[str, float],
    looks: Sequence[Study],
    prereg: Prereg,
    *,
    is_rehearsal: bool,
) -> Tables:
    """The rows behind the plots."""
    prompt_ids = {row.item_id: row.prompt_id for look in looks for row in look.table}
    means = {item_id: sum(POINTS[o] for o in row) / (2 * len(row)) for item_id, row in outcomes.items()}
    choices = {
        editor: Counter(answer.choice for look in looks for answer in look.ballots[editor].answers)
        for editor in prereg.editors
    }
    return Tables(
        editors=[(*row, is_rehearsal) for row in editor_rows(unblinded, prereg.editors)],
        prompts=[(prompt_ids[i], lengths[i], mean, is_rehearsal) for i, mean in means.items()],
        sides=[(editor, n["left"], n["tie"], n["right"], is_rehearsal) for editor, n in choices.items()],
    )


def rate_metrics(rate: WinRate) -> dict[str, Any]:
    """The win rate's numbers under the names that the gate reads."""
    names = ("value", "low", "high", "wins", "ties", "losses", "n", "n_eff", "n_star")
    return {name: getattr(rate, name) for name in names}


def editor_rows(unblinded: Unblinded, editors: Sequence[str]) -> list[tuple[str, float, float, float, int]]:
    """Each editor's own share for the policy, ties half, with Wilson over the prompts."""
    rows = []
    for editor in editors:
        points = [
            POINTS[judgement.outcome] for judgement in unblinded.judgements if judgement.editor == editor
        ]
        low, high = wilson_interval(sum(points) / 2, len(points))
        rows.append((editor, sum(points) / (2 * len(points)), low, high, len(points)))
    return rows


def _status(study: Study, counts: dict[str, int]) -> tuple[Status, str]:
    if study.problems:
        more = len(study.problems) - N_PROBLEMS_SHOWN
        shown = "; ".join(study.problems[:N_PROBLEMS_SHOWN]) + (f"; and {more} more" if more > 0 else "")
        return "invalid", f"Files do not fit the seal: {shown}. See `bluepencil study verify`."
    missing = sorted(set(study.commitment.pages if study.commitment else ()) - set(study.ballots))
    if missing:
        return "pending", f"Ballots are missing: {', '.join(missing)}."
    if study.key is None:
        return "pending", "All ballots are in and the key is not revealed. Run `bluepencil study reveal`."
    if counts["n_prompts"] < 2:
        return "pending", "Fewer than two prompts can be counted, too few for an interval."
    return "complete", "Every ballot is in and every file fits the seal."


def _counts(rows: Sequence[tuple[str, bool]]) -> dict[str, int]:
    n_by_status = {status: sum(row[0] == status for row in rows) for status in ("shown", "identical", "void")}
    return {
        "n_prompts": n_by_status["shown"] + n_by_status["identical"],
        **{f"n_{status}": count for status, count in n_by_status.items()},
        "n_synthetic": sum(row[1] for row in rows),
    }


def _waiting(
    status: Status, study_id: str, reason: str, counts: dict[str, int], *, n_expected: int, n_received: int
) -> dict[str, Any]:
    return {
        "status": status,
        "study_id": study_id,
        "reason": reason,
        **counts,
        "n_ballots_expected": n_expected,
        "n_ballots_received": n_received,
    }
