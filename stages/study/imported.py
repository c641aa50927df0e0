"""Judgements made elsewhere, as a table of sides shown and choices, turned into win-rate rows.

One row per editor and prompt: `prompt_id, editor, left, choice`, with `left` the model shown on the
left (policy or base) and `choice` the side chosen (left, right or tie). Optional: `policy_chars`,
`base_chars`. Nothing of this was sealed or counterbalanced by us, and the result says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from stages.files.record import Record
from stages.study.design import Slot
from stages.study.prereg import Z_ONE_LOOK
from stages.study.unblind import Judgement, Unblinded, by_prompt, outcome_of
from stages.study.winrate import estimate_winrate
from stages.study.winrate_secondary import secondary_metrics


class ImportedRow(Record):
    """One judgement made with another tool."""

    prompt_id: str
    editor: str
    left: Literal["policy", "base"]
    choice: Literal["left", "tie", "right"]
    policy_chars: int | None = None
    base_chars: int | None = None


def estimate_imported(rows: Sequence[ImportedRow], *, salt: str) -> dict[str, Any]:
    """Win rate of imported judgements. ValueError unless every editor judged every prompt once."""
    editors = sorted({row.editor for row in rows})
    prompts = sorted({row.prompt_id for row in rows})
    problems = _not_fully_crossed(rows, editors, prompts)
    if problems:
        raise ValueError("\n  ".join(["every editor must have judged every prompt once", *problems[:5]]))
    judgements = [_judgement(row) for row in rows]
    unblinded = Unblinded(judgements, [], {}, 0)
    outcomes = by_prompt(judgements, editors)
    rate = estimate_winrate(list(outcomes.values()), z=Z_ONE_LOOK)
    secondary = secondary_metrics(
        outcomes, unblinded, _relative_lengths(rows), editors=editors, z=Z_ONE_LOOK, salt=salt
    )
    return {**rate._asdict(), "n_editors": len(editors), "secondary": secondary}


def _judgement(row: ImportedRow) -> Judgement:
    slot = Slot(slot_id=f"{row.editor} {row.prompt_id}", item_id=row.prompt_id, kind="item", left=row.left)
    return Judgement(row.editor, row.prompt_id, outcome_of(row.choice, slot), row.choice, slot)


def _not_fully_crossed(
    rows: Sequence[ImportedRow], editors: Sequence[str], prompts: Sequence[str]
) -> list[str]:
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        counts[row.editor, row.prompt_id] = counts.get((row.editor, row.prompt_id), 0) + 1
    return [
        f"editor {editor}, prompt {prompt}: {counts.get((editor, prompt), 0)} judgements"
        for editor in editors
        for prompt in prompts
        if counts.get((editor, prompt), 0) != 1
    ]


def _relative_lengths(rows: Sequence[ImportedRow]) -> Mapping[str, float]:
    """prompt id -> (policy - base) characters over their mean; 0 where lengths are not given."""
    lengths = {}
    for row in rows:
        policy, base = row.policy_chars or 0, row.base_chars or 0
        lengths[row.prompt_id] = 2 * (policy - base) / (policy + base) if policy + base else 0.0
    return lengths


FIELDS = ("prompt_id", "left", "policy_chars", "base_chars")


Sides = Mapping[str, Mapping[str, str]]  # prompt id -> what the task itself does not say


class Judged(NamedTuple):
    """One annotation: where it stands, its cells as a line of the CSV would have them, or what is wrong."""

    place: str
    cells: dict[str, str]
    problem: str = ""


def read_export(export: object, sides: Sides) -> Iterator[Judged]:
    """Every annotation that was not skipped; ValueError where this is no such export.

    A task's `data` holds `prompt_id` and, unless `sides` has it, `left`: the model shown on the left.
    """
    if not isinstance(export, list):
        raise ValueError("a list of tasks was expected; export from Label Studio in the format JSON")
    for number, task in enumerate(export, start=1):
        place = f"task {task.get('id', number) if isinstance(task, dict) else number}"
        if not isinstance(task, dict) or not all(isinstance(task.get(k), t) for k, t in _TASK.items()):
            yield Judged(place, {}, "has no data and annotations; export in the format JSON, not JSON-MIN")
            continue
        if sides and task["data"].get("left") is not None:
            yield Judged(place, {}, "says its side, and so does the table of sides; keep one")
            continue
        known = _task_cells(task["data"], sides)
        for count, annotation in enumerate(task["annotations"], start=1):
            yield from _read_annotation(f"{place}, annotation {count}", annotation, known)


_TASK = {"data": dict, "annotations": list}


def _task_cells(data: Mapping[str, Any], sides: Sides) -> dict[str, str]:
    cells = {name: str(data[name]) for name in FIELDS if data.get(name) is not None}
    return {**sides.get(cells.get("prompt_id", ""), {}), **cells}


def _read_annotation(place: str, annotation: object, known: Mapping[str, str]) -> Iterator[Judged]:
    if not isinstance(annotation, dict) or not isinstance(annotation.get("result"), list):
        yield Judged(place, {}, "has no result")
        return
    if annotation.get("was_cancelled"):
        return
    chosen = sorted({choice for part in annotation["result"] for choice in _choices(part)})
    if len(chosen) != 1:
        said = " and ".join(chosen) or "nothing"
        yield Judged(place, {}, f"chooses {said}; left, right or tie was expected")
        return
    yield Judged(place, {**known, "editor": _editor(annotation.get("completed_by")), "choice": chosen[0]})


def _choices(part: object) -> Iterator[str]:
    """The side that a `Pairwise` control selected, or a tie from a `Choices` control."""
    value = part.get("value") if isinstance(part, dict) else None
    if not isinstance(value, dict) or not isinstance(part, dict):
        return
    if part.get("type") == "pairwise":
        yield str(value.get("selected", "")).lower()
    elif part.get("type") == "choices" and isinstance(value.get("choices"), list):
        yield from ("tie" for choice in value["choices"] if str(choice).strip().lower() == "tie")


def _editor(completed_by: object) -> str:
    """An annotator is a number, or an object with an e-mail address and a number."""
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email") or completed_by.get("id")
    return "" if completed_by is None else str(completed_by)
