"""From a row under our names to a pair or a prompt: forms, types, and one finding a rule."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Literal, NamedTuple

from stages.data.forms.choices import WANTED, as_word, read_choice
from stages.data.forms.columns import EDITORS_FORM, Columns
from stages.data.forms.conversations import as_text, is_conversation, is_plain, read_conversation
from stages.files.pairs import PreferencePair, Prompt, Shown

TEXTS = ("prompt", "chosen", "rejected")
NAMES = ("pair_id", "editor", "group_id", "section", "reviewed_at", "source")
VOTE_SOURCES = ("first", "control", "suspect")  # of a row in a file of further votes
EXCERPT = 60
MAX_EXACT = 2**53  # from here on a float has lost digits
# The transcripts of Anthropic's hh-rlhf and its like: the prompt stands inside each completion.
TRANSCRIPT = re.compile(r"\s*(Human|User|H) ?:.*\n[ \t]*(Assistant|AI|Bot|A) ?:", re.DOTALL)
# What a spreadsheet, in whatever language, shows for a cell that it could not compute or that is too narrow.
LOST_CELL = re.compile(
    r"#[¡¿]?[^\W\d_a-z][^\Wa-z]*(?:/[^\Wa-z]+)?[!?]|#(?:N/[AD]|NV|GETTING_DATA|##+)|(?:Err|Fehler):\d{3}"
)
LISTS_AS_TEXT = re.compile(r"""\s*\[\s*\{\s*["'](role|content)["']""")


class RawRow(NamedTuple):
    """One row of a file: its fields, or what made it unreadable. `line` counts from 1.

    A further vote has its line below 0, and `form` where its file has other columns than that of the pairs.
    """

    line: int
    fields: Mapping[str, Any] | None
    problem: str = ""
    form: Columns | None = None


class Finding(NamedTuple):
    """A rule that does not hold, and what was there instead."""

    rule: str
    found: str


class Reading(NamedTuple):
    """A row understood as far as possible; without a pair it has at least one finding.

    `tie` has the texts of a row whose only finding is that neither was preferred; which one is `chosen` means
    nothing.
    """

    line: int
    pair_id: str | None
    pair: PreferencePair | None
    findings: tuple[Finding, ...]
    tie: PreferencePair | None = None


def read_pair(row: RawRow, columns: Columns) -> Reading:
    """Understand one row; every rule it breaks is found at once, and once."""
    columns = row.form or columns
    if row.fields is None:
        return Reading(row.line, None, None, (Finding("rows_are_readable", row.problem),))
    fields = dict(row.fields)
    pair_id = as_name(fields.get("pair_id"))
    findings: list[Finding] = []
    if columns.is_editors_form:
        findings += _unclear_choice(fields, columns)
        fields = _to_pair_form(fields)
    if is_conversation(fields):
        try:
            fields |= _to_texts(fields)
        except ValueError as error:
            findings.append(Finding("fields_have_their_type", str(error)))
            fields |= dict.fromkeys(TEXTS, "messages")  # nothing more is said of them
    empty = [name for name in ("pair_id", *TEXTS) if is_blank(fields.get(name))]
    if empty:
        findings.append(Finding("required_fields_are_filled", f"{', '.join(empty)} is empty"))
    findings += [
        Finding("required_fields_are_filled", f"{name} is {fields[name].strip()}, a spreadsheet's error")
        for name in ("pair_id", *TEXTS)
        if is_lost_cell(fields.get(name))
    ]
    findings += [Finding("fields_have_their_type", found) for found in _wrong_types(fields)]
    if findings:
        is_tie = {finding.rule for finding in findings} == {"preference_is_decided"}
        tie = _make_pair(fields) if is_tie else None
        return Reading(row.line, pair_id, None, tuple(_one_per_rule(findings)), tie)
    return Reading(row.line, pair_id, _make_pair(fields), ())


def read_prompt(row: RawRow) -> tuple[Prompt | None, str]:
    """A prompt, or what is wrong with its row."""
    if row.fields is None:
        return None, row.problem
    prompt_id, prompt = as_name(row.fields.get("prompt_id")), row.fields.get("prompt")
    if isinstance(prompt, list):
        turns = [turn.get("role") if isinstance(turn, dict) else None for turn in prompt]
        if turns != ["user"]:
            return None, f"prompt has the turns {excerpt(turns)}; editors are shown one turn of a user"
        prompt = prompt[0].get("content")
    if prompt_id is None or not isinstance(prompt, str) or not prompt.strip():
        return None, f"prompt_id {excerpt(row.fields.get('prompt_id'))}, prompt {excerpt(prompt)}"
    if lost := next(filter(is_lost_cell, (prompt_id, prompt)), None):
        return None, f"holds {lost.strip()}, a spreadsheet's error and no text"
    synthetic = _as_flag(row.fields.get("synthetic"))
    if synthetic is None:
        return None, f"synthetic is {excerpt(row.fields.get('synthetic'))}, true or false was expected"
    return Prompt(prompt_id=prompt_id, prompt=prompt, synthetic=synthetic), ""


def excerpt(value: object) -> str:
    """A value for a message: its beginning, quoted, always printable."""
    text = repr(value)
    text = text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…"
    return text.encode("utf-8", "backslashreplace").decode()


def is_blank(value: object) -> bool:
    """Nothing, white space, or the NaN that tables of numbers have where a cell is empty."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def is_lost_cell(value: object) -> bool:
    """Is it what a spreadsheet shows in place of a text that it lost, such as #REF!?"""
    return isinstance(value, str) and LOST_CELL.fullmatch(value.strip()) is not None


def as_name(value: object) -> str | None:
    """Ids and names may be whole numbers or dates; anything else than one value is none."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < MAX_EXACT:
        value = int(value)  # pandas makes floats of a column of numbers with an empty cell
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value).strip() or None


def _one_per_rule(findings: list[Finding]) -> Iterator[Finding]:
    found = defaultdict[str, list[str]](list)
    for finding in findings:
        found[finding.rule].append(finding.found)
    yield from (Finding(rule, "; ".join(texts)) for rule, texts in found.items())


def _to_texts(fields: Mapping[str, Any]) -> dict[str, Any]:
    messages = read_conversation(fields)
    texts = {name: as_text(getattr(messages, name)) for name in TEXTS}
    return {**texts, "messages": None if is_plain(messages) else messages}


def _make_pair(fields: Mapping[str, Any]) -> PreferencePair:
    return PreferencePair(
        pair_id=as_name(fields["pair_id"]) or "",
        prompt=fields["prompt"],
        chosen=fields["chosen"],
        rejected=fields["rejected"],
        editor=as_name(fields.get("editor")),
        group_id=as_name(fields.get("group_id")),
        section=as_name(fields.get("section")),
        reviewed_at=as_name(fields.get("reviewed_at")),
        chosen_shown=_as_side(fields.get("chosen_shown")),
        synthetic=_as_flag(fields.get("synthetic")) or False,
        messages=fields.get("messages"),
        source=as_name(fields.get("source")),
    )


def _to_pair_form(fields: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in fields.items() if name not in EDITORS_FORM}
    first, second = fields.get("paragraph_a"), fields.get("paragraph_b")
    if read_choice(fields.get("preferred")) == "second":
        return rest | {"chosen": second, "rejected": first, "chosen_shown": "right"}
    return rest | {"chosen": first, "rejected": second, "chosen_shown": "left"}


def _unclear_choice(fields: Mapping[str, Any], columns: Columns) -> list[Finding]:
    """A tie is said in words; a word that is none of ours, or nothing, is no tie."""
    value = fields.get("preferred")
    if is_blank(value):
        return [Finding("required_fields_are_filled", "preferred is empty")]
    if odd := columns.odd_choices.get(as_word(value)):
        return [
            Finding("fields_have_their_type", f"preferred is {excerpt(value)} ({odd}); {WANTED} was expected")
        ]
    choice = read_choice(value)
    if choice is None:
        return [Finding("fields_have_their_type", f"preferred is {excerpt(value)}; {WANTED} was expected")]
    return (
        [Finding("preference_is_decided", f"preferred is {excerpt(value)}, a tie")] if choice == "tie" else []
    )


def _wrong_types(fields: Mapping[str, Any]) -> Iterator[str]:
    def wrong(name: str, expected: str) -> str:
        value = fields.get(name)
        return f"{name} is {type(value).__name__} {excerpt(value)}, {expected} was expected"

    yield from (wrong(name, "a text") for name in TEXTS if not isinstance(fields.get(name), str | None))
    for name in NAMES:
        value = fields.get(name)
        if isinstance(value, float) and abs(value) >= MAX_EXACT:
            yield wrong(name, "a text, as a number that long has lost digits,")
        elif not is_blank(value) and as_name(value) is None:
            yield wrong(name, "one text or whole number")
    if not is_blank(fields.get("chosen_shown")) and _as_side(fields["chosen_shown"]) is None:
        yield wrong("chosen_shown", "left or right")
    source = as_name(fields.get("source"))
    if source and source not in VOTE_SOURCES and source.casefold() in VOTE_SOURCES:
        yield wrong("source", source.casefold())
    if _as_flag(fields.get("synthetic")) is None:
        yield wrong("synthetic", "true or false")
    sides = [fields.get(name) for name in ("chosen", "rejected")]
    if all(isinstance(side, str) and TRANSCRIPT.match(side) for side in sides):
        yield (
            "chosen and rejected are transcripts that hold the prompt (Human: …, Assistant: …); write as "
            "lists of messages with role and content, or prompt and answers in columns of their own"
        )
    if any(isinstance(side, str) and LISTS_AS_TEXT.match(side) for side in sides):
        yield "chosen and rejected are lists of messages written as text; save the file as JSONL or Parquet"


def _as_side(value: object) -> Shown | None:
    sides: dict[str, Literal["left", "right"]] = {"left": "left", "right": "right"}
    return sides.get(value.strip().lower()) if isinstance(value, str) else None


def _as_flag(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    if is_blank(value):
        return False
    return {"none": False, "false": False, "0": False, "true": True, "1": True}.get(
        str(value).strip().lower()
    )
