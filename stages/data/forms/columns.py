"""Which column of a file is which field of ours, whatever its case, spaces and underscores."""

import difflib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

CLOSE = 0.8  # difflib's ratio from which an unknown name is likely a slip


class Form(NamedTuple):
    """The fields of one kind of row. `ways` are the sets of columns of which one must be there."""

    what: str
    ways: tuple[tuple[str, ...], ...]
    optional: tuple[str, ...] = ()
    id: str | None = None  # made from the content where the file has none
    also_called: Mapping[str, str] = {}
    wanted: str = ""  # said where a column is missing

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field, once."""
        own = (self.id,) if self.id else ()
        return tuple(dict.fromkeys((*own, *(name for way in self.ways for name in way), *self.optional)))


EDITORS_FORM = ("paragraph_a", "paragraph_b", "preferred")
PAIRS = Form(
    "pairs",
    (("prompt", "chosen", "rejected"), ("prompt", *EDITORS_FORM), ("chosen", "rejected")),
    ("editor", "group_id", "section", "reviewed_at", "chosen_shown", "synthetic", "source"),
    "pair_id",
    {"id": "pair_id", "timestamp": "reviewed_at"},
    "prompt and chosen, rejected (or paragraph_a, paragraph_b, preferred); map other names in params.yaml "
    "`data.columns` as theirs: ours, or with --columns theirs=ours",
)
PROMPTS = Form("prompts", (("prompt",),), ("synthetic",), "prompt_id", {"id": "prompt_id"}, "prompt")
JUDGEMENTS = Form(
    "judgements",
    (("prompt_id", "editor", "left", "choice"),),
    ("policy_chars", "base_chars"),
    wanted="prompt_id, editor, left, choice",
)
SIDES = Form("sides", (("prompt_id", "left"),), ("policy_chars", "base_chars"), wanted="prompt_id, left")


class Columns(NamedTuple):
    """Our name -> the name in the file, the names that nobody reads, and what a reader should be told.

    `whole` are the fields whose every filled cell ends in ".0": whole numbers that passed through a column of
    floats. `odd_choices` says of each unreadable word of choice how often it came and from whom.
    """

    names: dict[str, str]
    extra: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    whole: frozenset[str] = frozenset()
    odd_choices: Mapping[str, str] = {}

    @property
    def is_editors_form(self) -> bool:
        """Are the texts called paragraph_a and paragraph_b, with the preferred one named?"""
        return "paragraph_a" in self.names


def column_key(name: str) -> str:
    """What is compared of a column's name."""
    return re.sub(r"[\s_\-]+", "", name).casefold()


def match_columns(present: Collection[str], form: Form, mapping: Mapping[str, str]) -> Columns:
    """Which column is what. `mapping` is theirs -> ours; ValueError names what is missing or there twice."""
    found = _find_columns(present, form, mapping)
    problems = [f"{theirs!r} is mapped but not in the file" for theirs in mapping if theirs not in present]
    problems += [f"{ours!r} is no field of ours" for ours in mapping.values() if ours not in form.fields]
    for ours, theirs in found.items():
        if len(theirs) > 1 and ours in mapping.values():
            problems.append(f"{ours!r} is mapped to and in the file")
        elif len(theirs) > 1:
            problems.append(f"{' and '.join(map(repr, theirs))} are both read as {ours}; rename one")
    complete = [way for way in form.ways if set(way) <= set(found)]
    way = complete[0] if complete else max(form.ways, key=lambda way: sum(name in found for name in way))
    missing = [name for name in way if name not in found]
    if missing:
        problems.append(f"no column {', '.join(missing)}")
    if problems:
        raise ValueError("; ".join(problems))
    unused = {name for other in form.ways for name in other} - set(way)
    names = {ours: theirs[0] for ours, theirs in found.items() if ours not in unused}
    extra = tuple(sorted(set(present) - set(names.values())))
    return Columns(names, extra, tuple(_remark_on(names, extra, form, mapping)))


def names_of(form: Form, mapping: Mapping[str, str]) -> frozenset[str]:
    """The `column_key` of every name that a header of this form may have."""
    return frozenset(map(column_key, (*form.fields, *form.also_called, *mapping)))


def field_of(name: str, form: Form, mapping: Mapping[str, str]) -> str | None:
    """The field that a column of this name is, by the mapping, our name or another name of it."""
    if name in mapping:
        return mapping[name]
    names = {column_key(ours): ours for ours in form.fields}
    return names.get(column_key(name)) or {column_key(t): o for t, o in form.also_called.items()}.get(
        column_key(name)
    )


def _find_columns(present: Iterable[str], form: Form, mapping: Mapping[str, str]) -> dict[str, list[str]]:
    """Our name -> the columns that are it; another name counts where the field itself is absent."""
    found, also = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    others = {column_key(name) for name in form.also_called}
    for name in present:
        if field := field_of(name, form, mapping):
            (also if column_key(name) in others and name not in mapping else found)[field].append(name)
    return {**also, **found}


def _remark_on(
    names: Mapping[str, str], extra: tuple[str, ...], form: Form, mapping: Mapping[str, str]
) -> Iterator[str]:
    for ours, theirs in names.items():
        if column_key(theirs) != column_key(ours) and theirs not in mapping:
            yield f"Column {theirs!r} is read as {ours}."
    if form.id and form.id not in names:
        yield f"No column {form.id}: a row's id is made from its content, and numbered where it repeats."
    ours_of = {column_key(field): field for field in form.fields}
    for name in extra:
        if field := ours_of.get(column_key(name)):
            way = next(way for way in form.ways if set(way) <= set(names))
            yield f"Column {name!r} ({field}) is not read, since {', '.join(way)} are."
            continue
        close = suggest(name, [field for field in form.fields if field not in names])
        yield f"Column {name!r} is not read" + (f"; did you mean {close}?" if close else ".")


def suggest(name: str, fields: Collection[str]) -> str | None:
    """The field whose name is close to `name`, or stands in it."""
    keys = {column_key(field): field for field in fields}
    key = column_key(name)
    close = difflib.get_close_matches(key, keys, n=1, cutoff=CLOSE) or [k for k in keys if k in key]
    return keys[close[0]] if close else None
