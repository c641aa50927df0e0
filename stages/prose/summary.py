"""The `writing` part of metrics/writing.json, and its tables."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from stages.prose.changes import (
    Change,
    Reading,
    Side,
    Texts,
    by_kind,
    is_english,
    per_completion,
    read_texts,
    unsupported_rate,
)
from stages.prose.tastes import Habit, PairHabits, compare_habits

MIN_PROMPTS = 10  # fewer tell nothing: by luck alone two may differ by exactly the same


class Read(NamedTuple):
    """What could be read, and the prompts left out."""

    readings: list[Reading]
    other_language: list[str]
    empty: list[str]


def read_all(texts: Sequence[Texts]) -> Read:
    """Read every prompt that is in English and that both models answered in English."""
    found = Read([], [], [])
    for one in texts:
        if not all(map(is_english, (one.prompt, one.base, one.policy))):
            found.other_language.append(one.prompt_id)
        elif reading := read_texts(one):
            found.readings.append(reading)
        else:
            found.empty.append(one.prompt_id)
    return found


def summarise(read: Read, pairs: Sequence[PairHabits]) -> dict[str, Any]:
    """Mentions and habits of both models, and which prompts could not be read."""
    left_out = {"n_other_language": len(read.other_language), "n_empty": len(read.empty)}
    readings = read.readings
    if len(readings) < MIN_PROMPTS:
        return {"checked": False, "n_prompts": len(readings), **left_out}
    habits = compare_habits(readings, pairs)
    return {
        "checked": True,
        "n_prompts": len(readings),
        **left_out,
        "n_pairs": len(pairs),
        "base": _count([one.base for one in readings]),
        "policy": _count([one.policy for one in readings]),
        "unsupported_per_100_words": _plain(unsupported_rate(readings), n_prompts=len(readings)),
        "unsupported_per_completion": _plain(per_completion(readings, "unsupported")),
        "derived_per_completion": _plain(per_completion(readings, "derived")),
        "supported_per_completion": _plain(per_completion(readings, "supported")),
        "kinds": {kind: _plain(change, p_name="p_holm") for kind, change in by_kind(readings).items()},
        "habits": {name: _habit(habit) for name, habit in habits.items()},
    }


def _count(sides: Sequence[Side]) -> dict[str, int]:
    return {
        "n_words": sum(int(side.habits.length) for side in sides),
        **{
            f"n_{status}": sum(side.n(status) for side in sides)
            for status in ("supported", "derived", "unsupported")
        },
    }


def _plain(change: Change, *, p_name: str | None = None, **more: int) -> dict[str, float]:
    fields = change._asdict()
    p_value = fields.pop("p_value")
    return {**fields, **more, **({p_name: p_value} if p_name else {})}


def _habit(habit: Habit) -> dict[str, Any]:
    """Both models in the habit's own unit; move and taste in standard deviations over the base's texts."""
    moved, taste = habit.moved, habit.taste
    told: dict[str, Any] = {
        "base": habit.change.base,
        "policy": habit.change.policy,
        "unit": habit.unit,
        "moved": {"sd": moved.difference, "low": moved.low, "high": moved.high, "p_holm": moved.p_value},
        "verdict": habit.verdict,
    }
    if taste:
        fields = taste._asdict()
        told["taste"] = {**fields, "p_holm": fields.pop("p_value"), "gap": fields.pop("gap")}
    return told


CLAIM_COLUMNS = ["prompt_id", "model", "kind", "status", "start", "end", "text"]
CHANGE_COLUMNS = ["name", "base", "policy", "difference", "low", "high"]


def claim_table(read: Read, texts: Sequence[Texts]) -> list[list[object]]:
    """Every mention of every completion, as it is written and where."""
    written = {one.prompt_id: one for one in texts}
    return [
        [one.prompt_id, model, claim.mention.kind, claim.status, claim.start, claim.end,
         getattr(written[one.prompt_id], model)[claim.start : claim.end]]
        for one in read.readings
        for model in ("base", "policy")
        for claim in getattr(one, model).claims
    ]  # fmt: skip


def kind_table(summary: dict[str, Any]) -> list[list[object]]:
    """Unsupported mentions a 100 words, all and by kind, for a plot."""
    rows = {"all": summary["unsupported_per_100_words"], **summary["kinds"]} if summary["checked"] else {}
    return [[name, *(row[column] for column in CHANGE_COLUMNS[1:])] for name, row in rows.items()]
