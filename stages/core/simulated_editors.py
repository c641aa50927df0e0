"""Editors of known skill, bias, ties and fatigue, for a rehearsal through the real files."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from scipy import stats

from stages.core.ballots import Answer, Choice
from stages.core.hashing import uniform
from stages.core.simulation import Truth, decided_rate
from stages.core.study_design import Slot

NOTICES_ANCHOR = 0.95


class Habits(NamedTuple):
    """How a simulated editor judges; shares in [0, 1]."""

    truth: Truth
    left_bias: float  # share of screens on which left is taken without reading
    fatigue: float  # share of judgements at the end of the page that are mere coin flips


def judge_page(slots: Sequence[Slot], habits: Habits, *, editor: str, salt: str) -> list[Answer]:
    """One answer per slot; equal arguments give equal answers."""
    return [
        Answer(
            slot_id=slot.slot_id,
            choice=_choose(slot, habits, tiredness=position / len(slots), names=(salt, editor, slot.slot_id)),
            strength="",
            reasons=[],
            note="",
        )
        for position, slot in enumerate(slots)
    ]


def _choose(slot: Slot, habits: Habits, *, tiredness: float, names: tuple[str, str, str]) -> Choice:
    if uniform("bias", *names) < habits.left_bias:
        return "left"
    if uniform("fatigue", *names) < habits.fatigue * tiredness:
        return "left" if uniform("coin", *names) < 0.5 else "right"
    if slot.kind == "anchor":
        return _side(slot, "better", chosen=uniform("anchor", *names) < NOTICES_ANCHOR)
    if uniform("tie", *names) < habits.truth.tie_rate:
        return "tie"
    share = prompt_share(slot.item_id, habits.truth, salt=names[0])
    return _side(slot, "policy", chosen=uniform("vote", *names) < share)


def prompt_share(item_id: str, truth: Truth, *, salt: str) -> float:
    """The share of decided judgements that this prompt gives the policy, the same for all editors."""
    share = decided_rate(truth)
    if truth.agreement == 0:
        return share
    size = 1 / truth.agreement - 1
    return float(stats.beta.ppf(uniform("prompt", salt, item_id), share * size, (1 - share) * size))


def _side(slot: Slot, text: Literal["policy", "better"], *, chosen: bool) -> Choice:
    return "left" if (slot.left == text) == chosen else "right"
