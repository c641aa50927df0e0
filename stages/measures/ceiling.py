"""How often the best possible reader can agree with a label, from how often two editors agree.

Definitions: docs/statistics.md. p is the chance that an editor sides with what most editors of an item would
say; editors err independently given the item. A = 1 - 2 E[p (1 - p)], so agreement fixes E[p (1 - p)], and
what a reader can match lies between two extremes: clear items mixed with coin tosses, or all items alike.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from math import comb
from typing import Any, NamedTuple

import numpy as np
from scipy.special import bdtrc

from stages.files.pairs import PreferencePair

CHANCE = 0.5


class Ceiling(NamedTuple):
    """Shares of the labels that the best possible reader can match, from the least to the most favourable."""

    low: float
    high: float


def ceiling(agreement: float, n_votes: Mapping[int, int]) -> Ceiling:
    """The range at this agreement; `n_votes` counts the labels by the number of votes that made them.

    Ties are no such vote. A label is the majority, and items of an even split are set aside. ValueError
    without a label, and below an agreement of 1/2, where editors agree less than by chance.
    """
    total = sum(n_votes.values())
    if not total:
        raise ValueError("no label, so no ceiling")
    if not CHANCE <= agreement <= 1:
        raise ValueError(f"agreement is {agreement}; below {CHANCE} there is no ceiling")
    ranges = [(n, *_extremes(agreement, votes)) for votes, n in n_votes.items()]
    return Ceiling(
        sum(n * low for n, low, _ in ranges) / total, sum(n * high for n, _, high in ranges) / total
    )


def count_votes(pairs: Iterable[PreferencePair]) -> dict[int, int]:
    """How many labels were made by how many votes for either side."""
    return Counter(pair.n_votes - sum(vote == "tie" for vote in pair.votes.values()) for pair in pairs)


def tell_ceiling(agreement: Mapping[str, Any], n_votes: Mapping[int, int]) -> dict[str, float | int | str]:
    """The range at this agreement, `lowest` and `highest` at the ends of its interval; or why it is unknown.

    `agreement` is that of metrics/validate.json; that of decided votes counts, because a label is one, and so
    is a reader's answer.
    """
    share, low, high = (agreement.get(f"decided_{name}") for name in ("share", "low", "high"))
    if not isinstance(share, float) or not sum(n_votes.values()):
        return {"status": "unknown", "reason": "no two editors judged the same texts"}
    if not isinstance(low, float) or not isinstance(high, float):
        n = agreement["n_items"]
        reason = f"the pairs that two editors judged ({n}) come from too few separate groups for a range"
        return {"status": "unknown", "reason": reason}
    if share < CHANCE:
        return {"status": "unknown", "reason": "the editors do not agree: less often than two coins would"}
    inner = ceiling(share, n_votes)
    return {
        "status": "known",
        "low": inner.low,
        "high": inner.high,
        "lowest": ceiling(max(low, CHANCE), n_votes).low,
        "highest": ceiling(high, n_votes).high,
        "n_labels": sum(n_votes.values()),
    }


def _extremes(agreement: float, n_votes: int) -> Ceiling:
    """Clear items (p = 1, a share of 2 A - 1) mixed with coin tosses; and all items at p = (1 + s) / 2."""
    clear = 2 * agreement - 1
    right, decided = _majority(CHANCE, n_votes)
    mixed = (clear + (1 - clear) * right) / (clear + (1 - clear) * decided)
    right, decided = _majority((1 + np.sqrt(clear)) / 2, n_votes)
    alike = right / decided
    return Ceiling(float(min(mixed, alike)), float(max(mixed, alike)))


def _majority(p: float, n_votes: int) -> tuple[float, float]:
    """The chance that most of n votes are right, and that they are no even split."""
    half = n_votes // 2
    split = comb(n_votes, half) * (p * (1 - p)) ** half if n_votes % 2 == 0 else 0.0
    return float(bdtrc(half, n_votes, p)), 1 - split
