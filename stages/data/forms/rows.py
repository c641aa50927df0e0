"""From a row as it came to a pair: names, forms and types."""

import math
from collections.abc import Collection, Mapping
from datetime import date
from typing import Any, Literal, NamedTuple

from stages.files.pairs import PreferencePair, Prompt, Shown

PAIR_FORM = ("chosen", "rejected")


EDITORS_FORM = ("paragraph_a", "paragraph_b", "preferred")


OPTIONAL = ("editor", "group_id", "section", "reviewed_at", "chosen_shown", "synthetic")


ALSO_CALLED = {"id": "pair_id", "timestamp": "reviewed_at"}


class Columns(NamedTuple):
    """Our name -> the name in the file, and the names that nobody reads."""

    names: dict[str, str]
    extra: tuple[str, ...]

    @property
    def is_editors_form(self) -> bool:
        """Are the texts called paragraph_a and paragraph_b, with the preferred one named?"""
        return "paragraph_a" in self.names


def resolve_columns(present: Collection[str], mapping: Mapping[str, str]) -> Columns:
    """Which column is what. `mapping` is theirs -> ours; ValueError names what is missing."""
    known = {"pair_id", "prompt", *PAIR_FORM, *EDITORS_FORM, *OPTIONAL}
    problems = [f"{theirs!r} is mapped but not in the file" for theirs in mapping if theirs not in present]
    problems += [f"{ours!r} is no field of ours" for ours in mapping.values() if ours not in known]
    problems += [f"{ours!r} is mapped to and in the file" for ours in mapping.values() if ours in present]
    if len(set(mapping.values())) < len(mapping):
        problems.append("two columns are mapped to the same field")
    names = {name: name for name in present if name in known}
    names |= {ours: theirs for theirs, ours in mapping.items()}
    for theirs, ours in ALSO_CALLED.items():
        if theirs in present and theirs not in mapping:
            names.setdefault(ours, theirs)
    form = PAIR_FORM if all(name in names for name in PAIR_FORM) else EDITORS_FORM
    if not any(name in names for name in EDITORS_FORM):
        form = PAIR_FORM
    unused = set(PAIR_FORM + EDITORS_FORM) - set(form)
    names = {ours: theirs for ours, theirs in names.items() if ours not in unused}
    missing = [name for name in ("pair_id", "prompt", *form) if name not in names]
    if missing:
        problems.append(f"no column {', '.join(missing)}")
    if problems:
        raise ValueError("; ".join(problems))
    extra = sorted(set(present) - set(names.values()))
    return Columns(names, tuple(name.encode("utf-8", "replace").decode() for name in extra))


TEXTS = ("prompt", "chosen", "rejected")


EXCERPT = 60


class RawRow(NamedTuple):
    """One row of a file: its fields, or what made it unreadable. `line` counts from 1."""

    line: int
    fields: Mapping[str, Any] | None
    problem: str = ""


class Finding(NamedTuple):
    """A rule that does not hold, and what was there instead."""

    rule: str
    found: str


class Reading(NamedTuple):
    """A row understood as far as possible; without a pair it has at least one finding."""

    line: int
    pair_id: str | None
    pair: PreferencePair | None
    findings: tuple[Finding, ...]


def read_pair(row: RawRow, columns: Columns) -> Reading:
    """Understand one row; every rule it breaks is found at once."""
    if row.fields is None:
        return Reading(row.line, None, None, (Finding("rows_are_readable", row.problem),))
    fields = {ours: row.fields.get(theirs) for ours, theirs in columns.names.items()}
    pair_id = _as_name(fields.get("pair_id"))
    findings: list[Finding] = []
    if columns.is_editors_form:
        findings += _undecided(fields)
        fields = _to_pair_form(fields)
    findings += _unfilled(fields) + _wrong_types(fields) + _unreadable(fields)
    if findings:
        return Reading(row.line, _printable(pair_id), None, tuple(findings))
    return Reading(row.line, pair_id, _make_pair(fields), ())


def read_prompt(row: RawRow) -> tuple[Prompt | None, str]:
    """A prompt, or what is wrong with its row."""
    if row.fields is None:
        return None, row.problem
    prompt_id, prompt = _as_name(row.fields.get("prompt_id")), row.fields.get("prompt")
    if prompt_id is None or not isinstance(prompt, str) or not prompt.strip():
        return None, f"prompt_id {excerpt(row.fields.get('prompt_id'))}, prompt {excerpt(prompt)}"
    if _unreadable({"prompt": prompt, "prompt_id": prompt_id}):
        return None, "half a surrogate pair"
    synthetic = _as_flag(row.fields.get("synthetic"))
    if synthetic is None:
        return None, f"synthetic is {excerpt(row.fields.get('synthetic'))}, true or false was expected"
    return Prompt(prompt_id=prompt_id, prompt=prompt, synthetic=synthetic), ""


def excerpt(value: object) -> str:
    """A value for a message: its beginning, quoted, always printable."""
    text = repr(value)
    text = text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…"
    return text.encode("utf-8", "backslashreplace").decode()


def _make_pair(fields: Mapping[str, Any]) -> PreferencePair:
    return PreferencePair(
        pair_id=_as_name(fields["pair_id"]) or "",
        prompt=fields["prompt"],
        chosen=fields["chosen"],
        rejected=fields["rejected"],
        editor=_as_name(fields.get("editor")),
        group_id=_as_name(fields.get("group_id")),
        section=_as_name(fields.get("section")),
        reviewed_at=_as_name(fields.get("reviewed_at")),
        chosen_shown=_as_side(fields.get("chosen_shown")),
        synthetic=_as_flag(fields.get("synthetic")) or False,
    )


def _to_pair_form(fields: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in fields.items() if name not in EDITORS_FORM}
    first, second = fields.get("paragraph_a"), fields.get("paragraph_b")
    if _choice(fields) == "b":
        return rest | {"chosen": second, "rejected": first, "chosen_shown": "right"}
    return rest | {"chosen": first, "rejected": second, "chosen_shown": "left"}


def _choice(fields: Mapping[str, Any]) -> str:
    preferred = fields.get("preferred")
    return preferred.strip().lower() if isinstance(preferred, str) else ""


def _undecided(fields: Mapping[str, Any]) -> list[Finding]:
    if _choice(fields) in ("a", "b"):
        return []
    return [
        Finding("preference_is_decided", f"preferred is {excerpt(fields.get('preferred'))}, neither a nor b")
    ]


def _unfilled(fields: Mapping[str, Any]) -> list[Finding]:
    empty = [name for name in ("pair_id", *TEXTS) if _is_blank(fields.get(name))]
    return [Finding("required_fields_are_filled", f"{', '.join(empty)} is empty")] if empty else []


def _wrong_types(fields: Mapping[str, Any]) -> list[Finding]:
    def wrong(name: str, expected: str) -> Finding:
        value = fields.get(name)
        return Finding(
            "fields_have_their_type",
            f"{name} is {type(value).__name__} {excerpt(value)}, {expected} was expected",
        )

    found = [wrong(name, "a text") for name in TEXTS if not isinstance(fields.get(name), str | None)]
    names = ("pair_id", "editor", "group_id", "section", "reviewed_at")
    found += [
        wrong(name, "one value")
        for name in names
        if not _is_blank(fields.get(name)) and _as_name(fields[name]) is None
    ]
    if not _is_blank(fields.get("chosen_shown")) and _as_side(fields["chosen_shown"]) is None:
        found.append(wrong("chosen_shown", "left or right"))
    if _as_flag(fields.get("synthetic")) is None:
        found.append(wrong("synthetic", "true or false"))
    return found


def _unreadable(fields: Mapping[str, Any]) -> list[Finding]:
    """Half of a surrogate pair (an escaped emoji cut in two) cannot be written as UTF-8."""
    broken = [name for name, value in fields.items() if isinstance(value, str) and _printable(value) != value]
    return (
        [Finding("rows_are_readable", f"{', '.join(broken)} holds half a surrogate pair")] if broken else []
    )


def _printable(text: str | None) -> str | None:
    return None if text is None else text.encode("utf-8", "replace").decode()


def _is_blank(value: object) -> bool:
    """Nothing, white space, or the NaN that tables of numbers have where a cell is empty."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and not value.strip())


def _as_name(value: object) -> str | None:
    """Ids and names may be numbers or dates; anything else than one value is none."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value).strip() or None


def _as_side(value: object) -> Shown | None:
    sides: dict[str, Literal["left", "right"]] = {"left": "left", "right": "right"}
    return sides.get(value.strip().lower()) if isinstance(value, str) else None


def _as_flag(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    if _is_blank(value):
        return False
    return {"none": False, "false": False, "0": False, "true": True, "1": True}.get(
        str(value).strip().lower()
    )
