"""The rows of preference data: one pair, one pair after the split, one fresh prompt."""

from typing import Literal

from stages.core.record import Record

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
