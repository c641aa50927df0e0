"""What the plots of held-out accuracy are drawn from: slices, rules beside it, margins by size."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from stages.logprobs.margins import MarginRow
from stages.measures.accuracy import Share, accuracy, share_with_interval
from stages.measures.baselines import (
    base_prefers_chosen,
    base_prefers_chosen_per_token,
    is_longer,
    length_gap,
    longer_wins,
    policy_prefers_chosen,
)

# Upper ends of (chosen - rejected) / longer, and what the slice is called.
LENGTH_GAPS = (
    (-0.25, "chosen is much shorter"),
    (-0.10, "chosen is shorter"),
    (0.10, "within 10 %"),
    (0.25, "chosen is longer"),
    (1.0, "chosen is much longer"),
)
N_BINS_A_SIDE = 10


class Slice(NamedTuple):
    """Accuracy on some of the pairs: `kind` is all, editor, section or length."""

    kind: str
    name: str
    share: Share


class HistogramBin(NamedTuple):
    """Pairs whose margin is at least `low` and below `high`, in nats."""

    low: float
    high: float
    middle: float
    n: int


def slices(rows: Sequence[MarginRow], tolerance: float) -> list[Slice]:
    """Accuracy on all pairs, by editor, by section and by length gap, in that order."""
    kinds: list[tuple[str, Mapping[str, Sequence[MarginRow]]]] = [
        ("all", {"all pairs": rows}),
        ("editor", _group(rows, lambda row: row.editor)),
        ("section", _group(rows, lambda row: row.section)),
        ("length", _by_length_gap(rows)),
    ]
    return [
        Slice(kind, name, accuracy(members, tolerance))
        for kind, groups in kinds
        for name, members in groups.items()
    ]


def _group(
    rows: Iterable[MarginRow], name_of: Callable[[MarginRow], str | None]
) -> dict[str, list[MarginRow]]:
    """Rows by name, names in order; rows without a name are in no group."""
    groups: dict[str, list[MarginRow]] = defaultdict(list)
    for row in rows:
        name = name_of(row)
        if name is not None:
            groups[name].append(row)
    return dict(sorted(groups.items()))


def _by_length_gap(rows: Sequence[MarginRow]) -> dict[str, list[MarginRow]]:
    """Rows by the first of LENGTH_GAPS that their gap does not exceed; "within 10 %" holds both its ends."""
    groups: dict[str, list[MarginRow]] = {name: [] for _, name in LENGTH_GAPS}
    for row in rows:
        gap = length_gap(row)
        if gap == -0.10:
            groups["within 10 %"].append(row)
        else:
            groups[next(name for end, name in LENGTH_GAPS if gap <= end)].append(row)
    return {name: members for name, members in groups.items() if members}


def rules_beside(rows: Sequence[MarginRow], tolerance: float) -> list[Slice]:
    """The policy's margins and the rules that need no training, on the same pairs."""
    components = [row.component_id for row in rows]
    longer = [is_longer(row) for row in rows]
    name, right = "longer text", longer
    if longer_wins(rows) < 0.5:
        name, right = "shorter text", [1 - one for one in longer]
    judged: dict[str, list[float]] = {
        "policy's log-prob": [float(policy_prefers_chosen(row)) for row in rows],
        "base's log-prob": [float(base_prefers_chosen(row)) for row in rows],
        "base's log-prob per token": [float(base_prefers_chosen_per_token(row)) for row in rows],
        name: right,
    }
    return [
        Slice("rule", "reward margin (the gate)", accuracy(rows, tolerance)),
        *(Slice("rule", rule, share_with_interval(values, components)) for rule, values in judged.items()),
    ]


def margin_histogram(rows: Sequence[MarginRow]) -> list[HistogramBin]:
    """Margins in equal bins with an edge at zero, so that no bin mixes wins and losses.

    Margins that are all zero stand in one bin without width.
    """
    margins = [row.margin for row in rows]
    largest = max(abs(margin) for margin in margins)
    if largest == 0:
        return [HistogramBin(0.0, 0.0, 0.0, len(margins))]
    edges = np.linspace(-largest, largest, 2 * N_BINS_A_SIDE + 1)
    edges[N_BINS_A_SIDE] = 0.0
    counts, _ = np.histogram(margins, bins=edges)
    ends = [float(edge) for edge in edges]
    return [
        HistogramBin(low, high, (low + high) / 2, int(n))
        for low, high, n in zip(ends[:-1], ends[1:], counts, strict=True)
    ]
