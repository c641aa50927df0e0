"""Judgements made elsewhere, as a table of sides shown and choices, turned into win-rate rows.

One row per editor and prompt: `prompt_id, editor, left, choice`, with `left` the model shown on the
left (policy or base) and `choice` the side chosen or a tie, in any of `read_choice`'s words.
Optional: `policy_chars`, `base_chars`. Nothing of this was sealed or counterbalanced by us, and the
result says so.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from stages.data.forms.choices import WANTED, read_choice
from stages.data.forms.columns import JUDGEMENTS, SIDES, Form, column_key
from stages.data.forms.rows import as_name, excerpt, is_blank
from stages.data.forms.tables import open_table
from stages.errors import InputError
from stages.files.io import read_text
from stages.files.json_text import parse_json
from stages.files.record import Record, first_problem
from stages.run.progress import say
from stages.study.design import Slot
from stages.study.label_studio import CHOICES, Judged, Sides, describe_left_out, read_export
from stages.study.prereg import Z_ONE_LOOK
from stages.study.unblind import Judgement, Unblinded, by_prompt, outcome_of
from stages.study.winrate import estimate_winrate
from stages.study.winrate_secondary import secondary_metrics

N_ERRORS_SHOWN = 5
LENGTHS = ("policy_chars", "base_chars")
OF_A_TABLE = {"editor", "choice"}  # columns that a table has and no export of Label Studio
IMPORTED = "imported"  # seeds the bootstrap, so that neither file nor order of its rows moves it
NOT_CROSSED = (
    "every editor must have judged every prompt once; have the missing ones judged, or leave out "
    "the prompts or the editor that lack them"
)
Length = Annotated[int, Field(ge=0)]


class ImportedRow(Record):
    """One judgement made with another tool."""

    prompt_id: str
    editor: str
    left: Literal["policy", "base"]
    choice: Literal["left", "tie", "right"]
    policy_chars: Length | None = None
    base_chars: Length | None = None


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
    if flags := [name for name in LENGTHS if isinstance(cells.get(name), bool)]:
        raise ValueError(f"{flags[0]} is {cells[flags[0]]}; a number of characters was expected")
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
    """The judgements as they stand in the file, told by the ending of its name and by what a .json holds."""
    text = read_text(path).removeprefix("\ufeff") if path.suffix.lower() == ".json" else ""
    if path.suffix.lower() == ".json" and not is_table(text):
        yield from _read_label_studio(path, text, read_sides(sides) if sides else {})
    elif sides is not None:
        raise InputError(f"{path}: --sides goes with Label Studio's JSON export; a table has a column `left`")
    else:
        yield from _read_cells(path, JUDGEMENTS)


def is_table(text: str) -> bool:
    """Is this JSON an array, or lines, of judgements with their columns, and no tasks of Label Studio?"""
    lines = [text, *text.lstrip().splitlines()[:1]]
    for some in lines:
        try:
            value = parse_json(some)
        except ValueError:
            continue
        rows = value if isinstance(value, list) else [value]
        return any(isinstance(row, dict) and set(map(column_key, row)) >= OF_A_TABLE for row in rows)
    return False


def read_sides(path: Path) -> dict[str, Mapping[str, Any]]:
    """prompt id -> its line; InputError where a line cannot be read or a prompt has two."""
    sides: dict[str, Mapping[str, Any]] = {}
    for judged in _read_cells(path, SIDES):
        if judged.problem:
            raise InputError(f"{path}: {judged.place}: {judged.problem}; correct the line")
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


def _read_label_studio(path: Path, text: str, sides: Sides) -> Iterator[Judged]:
    try:
        export = parse_json(text)
        yield from read_export(export, sides)
        for remark in describe_left_out(export, sides):
            say(f"{path}: {remark}")
    except ValueError as error:
        raise InputError(
            f"{path}: is no export in Label Studio's format JSON ({error}); export it again"
        ) from error


def count_without_lengths(rows: Sequence[ImportedRow]) -> int:
    """Judgements that do not say how long both texts are."""
    return sum(not row.policy_chars or not row.base_chars for row in rows)


def estimate_imported(rows: Sequence[ImportedRow]) -> dict[str, Any]:
    """Win rate of imported judgements. ValueError unless every editor judged every prompt once, on texts of
    one length.
    """
    editors = sorted({row.editor for row in rows})
    prompts = sorted({row.prompt_id for row in rows})
    problems = _not_fully_crossed(rows, editors, prompts)
    if problems:
        raise ValueError("\n  ".join([NOT_CROSSED, *problems[:5]]))
    if lengths := _lengths_that_differ(rows):
        raise ValueError(
            "\n  ".join(["a prompt's texts have one length each; correct it", *lengths[:N_ERRORS_SHOWN]])
        )
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


def _lengths_that_differ(rows: Sequence[ImportedRow]) -> list[str]:
    said = defaultdict[tuple[str, str], set[int]](set)
    for row in rows:
        for name in LENGTHS:
            if (length := getattr(row, name)) is not None:
                said[row.prompt_id, name].add(length)
    return [
        f"prompt {prompt_id}: {name} is {' and '.join(map(str, sorted(found)[:N_ERRORS_SHOWN]))}"
        for (prompt_id, name), found in sorted(said.items())
        if len(found) > 1
    ]


def _relative_lengths(rows: Sequence[ImportedRow]) -> Mapping[str, float]:
    """prompt id -> (policy - base) characters over their mean; nothing unless every row gives its lengths."""
    if count_without_lengths(rows):
        return {}
    lengths = ((row.prompt_id, row.policy_chars or 0, row.base_chars or 0) for row in rows)
    return {prompt_id: 2 * (policy - base) / (policy + base) for prompt_id, policy, base in lengths}
