"""Which column of a file is which field: two forms, other names, and names that nobody reads."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

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
