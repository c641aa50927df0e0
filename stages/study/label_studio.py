"""Label Studio's export in the format JSON: tasks with annotations, as cells of a table of judgements."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from stages.data.forms.choices import WANTED, Choice, read_choice
from stages.data.forms.columns import SIDES
from stages.data.forms.rows import excerpt

FIELDS = SIDES.fields  # of a task's data
TASK = {"data": dict, "annotations": list}
N_NAMED = 3
Sides = Mapping[str, Mapping[str, Any]]  # prompt id -> what the task itself does not say


class Judged(NamedTuple):
    """One judgement as read: its place, its cells as a line of a table has them, or what is wrong."""

    place: str
    cells: Mapping[str, Any]
    problem: str = ""


CHOICES: dict[Choice | None, Literal["left", "tie", "right"] | None] = {
    "first": "left",
    "second": "right",
    "tie": "tie",
    None: None,
}


def read_export(export: object, sides: Sides) -> Iterator[Judged]:
    """Every annotation that was not skipped; ValueError where this is no such export.

    A task's `data` holds `prompt_id` and, unless `sides` has it, `left`: the model shown on the left.
    """
    if not isinstance(export, list):
        raise ValueError("a list of tasks was expected; export from Label Studio in the format JSON")
    for number, task in enumerate(export, start=1):
        place = f"task {task.get('id', number) if isinstance(task, dict) else number}"
        if not isinstance(task, dict) or not all(isinstance(task.get(k), t) for k, t in TASK.items()):
            yield Judged(place, {}, "has no data and annotations; export in the format JSON, not JSON-MIN")
            continue
        if sides and task["data"].get("left") is not None:
            yield Judged(place, {}, "says its side, and so does the table of sides; keep one")
            continue
        known = _task_cells(task["data"], sides)
        for count, annotation in enumerate(task["annotations"], start=1):
            yield from _read_annotation(f"{place}, annotation {count}", annotation, known)


def _task_cells(data: Mapping[str, Any], sides: Sides) -> dict[str, Any]:
    cells = {name: str(data[name]) for name in FIELDS if data.get(name) is not None}
    return {**sides.get(cells.get("prompt_id", ""), {}), **cells}


def _read_annotation(place: str, annotation: object, known: Mapping[str, Any]) -> Iterator[Judged]:
    if not isinstance(annotation, dict) or not isinstance(annotation.get("result"), list):
        yield Judged(place, {}, "has no result")
        return
    if annotation.get("was_cancelled"):
        return
    said = sorted({word for part in annotation["result"] for word in _choices(part)})
    chosen = sorted({choice for word in said if (choice := CHOICES[read_choice(word)])})
    if len(chosen) != 1:
        came = " and ".join(map(excerpt, said)) or "nothing"
        yield Judged(place, {}, f"chooses {came}; one of {WANTED} was expected")
        return
    yield Judged(place, {**known, "editor": _editor(annotation.get("completed_by")), "choice": chosen[0]})


def _choices(part: object) -> Iterator[str]:
    """What a `Pairwise` or a `Choices` control selected."""
    value = part.get("value") if isinstance(part, dict) else None
    if not isinstance(value, dict) or not isinstance(part, dict):
        return
    if part.get("type") == "pairwise":
        yield str(value.get("selected", ""))
    elif part.get("type") == "choices" and isinstance(value.get("choices"), list):
        yield from map(str, value["choices"])


def _editor(completed_by: object) -> str:
    """An annotator is a number, or an object with an e-mail address and a number."""
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email") or completed_by.get("id")
    return "" if completed_by is None else str(completed_by)


def describe_left_out(export: object, sides: Sides) -> Iterator[str]:
    """What an export and a table of sides hold beside the judgements."""
    tasks = [task for task in export if isinstance(task, dict)] if isinstance(export, list) else []
    skipped, unjudged, prompts = 0, list[str](), set[str]()
    for number, task in enumerate(tasks, start=1):
        data, annotations = task.get("data"), task.get("annotations")
        prompts |= {str(data.get("prompt_id"))} if isinstance(data, dict) else set()
        some = annotations if isinstance(annotations, list) else []
        left_out = [one for one in some if isinstance(one, dict) and one.get("was_cancelled")]
        skipped += len(left_out)
        if len(left_out) == len(some):
            unjudged.append(str(task.get("id", number)))
    if skipped:
        yield f"{skipped} annotations were skipped by their editor and are left out."
    if unjudged:
        yield f"{len(unjudged)} tasks have no judgement and are left out: {_name(unjudged)}."
    if strange := sorted(sides.keys() - prompts):
        yield f"{len(strange)} lines of the sides are of prompts that no task has: {_name(strange)}."


def _name(names: list[str]) -> str:
    return ", ".join(names[:N_NAMED]) + (", ..." if names[N_NAMED:] else "")
