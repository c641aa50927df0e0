"""The ranked list that stage `labels` writes, and what its page says."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from stages.files.pairs import SplitPair
from stages.files.record import Record
from stages.labelling.doubt import Doubt


class DoubtRow(Record):
    """One pair to learn from or to choose by; `doubt` in (0, 1) is no probability that the label is wrong."""

    pair_id: str
    part: Literal["train", "selection"]
    doubt: float


class Doubted(NamedTuple):
    """A pair with its doubt."""

    pair: SplitPair
    doubt: float


def rank_by_doubt(
    parts: Mapping[Literal["train", "selection"], Sequence[SplitPair]], found: Doubt
) -> list[DoubtRow]:
    """The most doubtful first; `found` has the pairs of all parts, one part after the other."""
    named = [(part, pair) for part, pairs in parts.items() for pair in pairs]
    rows = [
        DoubtRow(pair_id=pair.pair_id, part=part, doubt=round(float(doubt), 6))
        for (part, pair), doubt in zip(named, found.doubt, strict=True)
    ]
    return sorted(rows, key=lambda row: (-row.doubt, row.pair_id))


def suggest_smoothing(ceiling: Mapping[str, Any]) -> dict[str, float]:
    """The share of wrong labels that `train.label_smoothing` may assume: what a perfect reader misses."""
    if ceiling.get("status") != "known":
        return {}
    return {
        "label_smoothing_low": round(1 - ceiling["high"], 3),
        "label_smoothing_high": round(1 - ceiling["low"], 3),
    }
