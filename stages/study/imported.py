"""Judgements made elsewhere, as a table of sides shown and choices, turned into win-rate rows.

One row per editor and prompt: `prompt_id, editor, left, choice`, with `left` the model shown on the
left (policy or base) and `choice` the side chosen or a tie, in any of `read_choice`'s words.
Optional: `policy_chars`, `base_chars`. Nothing of this was sealed or counterbalanced by us, and the
result says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from stages.data.forms.choices import WANTED, Choice, read_choice
from stages.data.forms.columns import JUDGEMENTS, SIDES, Form
from stages.data.forms.rows import as_name, excerpt, is_blank
from stages.data.forms.tables import open_table
from stages.errors import InputError
from stages.files.io import read_text
from stages.files.json_text import parse_json
from stages.files.record import Record, first_problem
from stages.run.progress import say
from stages.study.design import Slot
from stages.study.prereg import Z_ONE_LOOK
from stages.study.unblind import Judgement, Unblinded, by_prompt, outcome_of
from stages.study.winrate import estimate_winrate
from stages.study.winrate_secondary import secondary_metrics

N_ERRORS_SHOWN = 5
IMPORTED = "imported"  # seeds the bootstrap, so that neither file nor order of its rows moves it
NOT_CROSSED = (
    "every editor must have judged every prompt once; have the missing ones judged, or leave out "
    "the prompts or the editor that lack them"
)
FIELDS = SIDES.fields  # of a task's data
TASK = {"data": dict, "annotations": list}

Sides = Mapping[str, Mapping[str, Any]]  # prompt id -> what the task itself does not say


class Judged(NamedTuple):
    """One judgement as read: its place, its cells as a line of a table has them, or what is wrong."""

    place: str
    cells: Mapping[str, Any]
    problem: str = ""


class ImportedRow(Record):
    """One judgement made with another tool."""

    prompt_id: str
    editor: str
    left: Literal["policy", "base"]
    choice: Literal["left", "tie", "right"]
    policy_chars: int | None = None
    base_chars: int | None = None


CHOICES: dict[Choice | None, Literal["left", "tie", "right"] | None] = {
    "first": "left",
    "second": "right",
    "tie": "tie",
    None: None,
}


def measure_imported(path: Path, sides: Path | None) -> dict[str, Any]:
    """Win rate, interval and secondary analyses; InputError names places that do not fit.

    `path` is a table, or Label Studio's JSON export, for which `sides` may say what the tasks do not.
    """
    rows = read_rows(path, sides)
    n_without = count_without_lengths(rows)
    if 0 < n_without < len(rows):
        say(
            f"{path}: {n_without} of {len(rows)} judgements lack policy_chars or base_chars: what needs "
            "lengths is left out"
        )
    try:
        return {**estimate_imported(rows), "sealed": False}
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def read_rows(path: Path, sides: Path | None) -> list[ImportedRow]:
    """Every judgement of the file."""
    rows, problems = [], []
    for judged in read_judged(path, sides):
        try:
            if judged.problem:
                raise ValueError(judged.problem)
            rows.append(read_judgement(judged.cells))
        except ValueError as error:
            problems.append(f"{judged.place}: {error}")
    if not rows and not problems:
        raise InputError(f"{path}: holds no judgement; {JUDGEMENTS.wanted} are wanted of each")
    if problems:
        shown = "\n  ".join(problems[:N_ERRORS_SHOWN])
        raise InputError(f"{path}: {len(problems)} judgements do not fit; correct them\n  {shown}")
    return rows


def read_judgement(cells: Mapping[str, Any]) -> ImportedRow:
    """A judgement from the cells of a table; ValueError names the field, what came and what was expected."""
    cells = {name: cell for name, cell in cells.items() if not is_blank(cell)}
    if missing := [name for name in JUDGEMENTS.ways[0] if name not in cells]:
        raise ValueError(f"{', '.join(missing)} is empty")
    choice, left = CHOICES[read_choice(cells["choice"])], str(cells["left"]).strip().lower()
    if choice is None:
        raise ValueError(f"choice is {excerpt(cells['choice'])}; {WANTED} was expected")
    if left not in ("policy", "base"):
        raise ValueError(f"left is {excerpt(cells['left'])}; policy or base was expected")
    names = {name: as_name(cells[name]) for name in ("prompt_id", "editor")}
    try:
        return ImportedRow.model_validate(cells | names | {"left": left, "choice": choice})
    except ValidationError as error:
        raise ValueError(first_problem(error)) from error


def read_judged(path: Path, sides: Path | None) -> Iterator[Judged]:
    """The judgements as they stand in the file, told by the ending of its name."""
    if path.suffix.lower() == ".json":
        yield from _read_label_studio(path, read_sides(sides) if sides else {})
    elif sides is not None:
        raise InputError(f"{path}: --sides goes with Label Studio's JSON export; a table has a column `left`")
    else:
        yield from _read_cells(path, JUDGEMENTS)


def read_sides(path: Path) -> dict[str, Mapping[str, Any]]:
    """prompt id -> its line; InputError where a prompt has two."""
    sides: dict[str, Mapping[str, Any]] = {}
    for judged in _read_cells(path, SIDES):
        prompt_id = as_name(judged.cells.get("prompt_id")) or ""
        if prompt_id in sides:
            raise InputError(f"{path}: {judged.place}: prompt {prompt_id!r} has a line already; keep one")
        sides[prompt_id] = judged.cells
    return sides


def _read_cells(path: Path, form: Form) -> Iterator[Judged]:
    """Every row of a table, read as pairs and prompts are; what its reader should know is said."""
    table = open_table(path, form, {})
    for remark in table.columns.remarks:
        say(f"{path}: {remark}")
    for row in table.rows:
        yield Judged(f"line {row.line}", row.fields or {}, row.problem)


def _read_label_studio(path: Path, sides: Sides) -> Iterator[Judged]:
    try:
        yield from read_export(parse_json(read_text(path).removeprefix("\ufeff")), sides)
    except ValueError as error:
        raise InputError(
            f"{path}: is no export in Label Studio's format JSON ({error}); export it again"
        ) from error


def count_without_lengths(rows: Sequence[ImportedRow]) -> int:
    """Judgements that do not say how long both texts are."""
    return sum(not row.policy_chars or not row.base_chars for row in rows)


def estimate_imported(rows: Sequence[ImportedRow]) -> dict[str, Any]:
    """Win rate of imported judgements. ValueError unless every editor judged every prompt once."""
    editors = sorted({row.editor for row in rows})
    prompts = sorted({row.prompt_id for row in rows})
    problems = _not_fully_crossed(rows, editors, prompts)
    if problems:
        raise ValueError("\n  ".join([NOT_CROSSED, *problems[:5]]))
    judgements = [_judgement(row) for row in rows]
    unblinded = Unblinded(judgements, [], {}, 0)
    outcomes = by_prompt(judgements, editors)
    rate = estimate_winrate(list(outcomes.values()), z=Z_ONE_LOOK)
    secondary = secondary_metrics(
        outcomes, unblinded, _relative_lengths(rows), editors=editors, z=Z_ONE_LOOK, salt=IMPORTED
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
    """prompt id -> (policy - base) characters over their mean; nothing unless every row gives its lengths."""
    if count_without_lengths(rows):
        return {}
    lengths = ((row.prompt_id, row.policy_chars or 0, row.base_chars or 0) for row in rows)
    return {prompt_id: 2 * (policy - base) / (policy + base) for prompt_id, policy, base in lengths}


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
