"""Judgements out of Label Studio's own JSON export, with the side as shown.

An export is a list of tasks; a task has `data` and `annotations`; an annotation says who made it
(`completed_by`) and, under `result`, what was chosen: `{"type": "pairwise", "value": {"selected":
"left"}}`. A `Pairwise` control knows no tie, so a tie is the choice `tie` of a `Choices` control
beside it. Notes, ratings, predictions and skipped annotations are no judgements.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

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
