"""The rows of preference data: one pair, one pair after the split, one fresh prompt."""

from collections.abc import Iterable, Sequence
from typing import Literal, TypeVar

from stages.errors import InputError
from stages.files.hashing import hex_digest
from stages.files.record import Record

Shown = Literal["left", "right"]


class PreferencePair(Record):
    """Two completions of one prompt; an editor preferred `chosen`.

    `group_id` is the application or document, `chosen_shown` the side on which the preferred
    text stood where that is known, `synthetic` whether a generator wrote and judged it.
    """

    pair_id: str
    prompt: str
    chosen: str
    rejected: str
    editor: str | None
    group_id: str | None
    section: str | None
    reviewed_at: str | None
    chosen_shown: Shown | None
    synthetic: bool


class SplitPair(PreferencePair):
    """A pair on one side of the split; pairs with the same `component_id` never part."""

    component_id: str


class Prompt(Record):
    """A fresh prompt of the blind study; no pair is about it."""

    prompt_id: str
    prompt: str
    synthetic: bool


Row = TypeVar("Row")


def first_rows(rows: Sequence[Row], n: int | Literal["all"], *, key: str) -> list[Row]:
    """The first `n` rows; split files stand in salted-hash order, so this is a random subset.

    InputError where more are asked for than there are; `key` names the parameter that asked.
    """
    if n == "all":
        return list(rows)
    if not rows:
        raise InputError(f"{key}: {n} wanted, none there; run `dvc repro`, which makes the rows")
    if n > len(rows):
        raise InputError(f"{key}: {n} wanted, {len(rows)} there; set {len(rows)} or less, or `all`")
    return list(rows[:n])


def split_sha256(pairs: Iterable[PreferencePair]) -> str:
    """Hash of the ids and texts of the held-out pairs, whatever their order: which 300 were these?"""
    rows = sorted((pair.pair_id, pair.prompt, pair.chosen, pair.rejected) for pair in pairs)
    return hex_digest(*(part for row in rows for part in row))
