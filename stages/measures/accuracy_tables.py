"""What the plots of held-out accuracy are drawn from: slices, rules beside it, margins by size."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from stages.files.pairs import PreferencePair
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


def slices(rows: Sequence[MarginRow], tolerance: float, pairs: Mapping[str, PreferencePair]) -> list[Slice]:
    """Accuracy on all pairs, by votes, by editor, by section and by length gap, in that order.

    `pairs` has the votes on each row's pair by its id. An editor's slice is measured against that editor's
    own votes, ties left out, also where most others disagree.
    """

    def of(kind: str, groups: Mapping[str, Sequence[MarginRow]]) -> list[Slice]:
        return [Slice(kind, name, accuracy(members, tolerance)) for name, members in groups.items()]

    return [
        *of("all", {"all pairs": rows}),
        *of("votes", group_by_votes(rows, pairs)),
        *_by_editor(rows, tolerance, pairs),
        *of("section", _group(rows, lambda row: row.section)),
        *of("length", _by_length_gap(rows)),
    ]


def group_by_votes(
    rows: Sequence[MarginRow], pairs: Mapping[str, PreferencePair]
) -> dict[str, list[MarginRow]]:
    """Rows of pairs that several judged, by whether all of them preferred the same text."""
    several = [row for row in rows if pairs[row.pair_id].n_votes > 1]
    groups: dict[str, list[MarginRow]] = {"unanimous": [], "by majority": []}
    for row in several:
        pair = pairs[row.pair_id]
        groups["unanimous" if pair.n_agree == pair.n_votes else "by majority"].append(row)
    return {name: members for name, members in groups.items() if members}


def summarise_votes(
    rows: Sequence[MarginRow], tolerance: float, pairs: Mapping[str, PreferencePair]
) -> dict[str, float | int]:
    """Accuracy on the pairs on which several editors all agree; nothing where no pair has several votes."""
    unanimous = group_by_votes(rows, pairs).get("unanimous", [])
    if not unanimous:
        return {}
    share = accuracy(unanimous, tolerance)
    found = {"accuracy_unanimous": share.value, "n_unanimous": share.n}
    ends = {"accuracy_unanimous_low": share.low, "accuracy_unanimous_high": share.high}
    return found | {name: end for name, end in ends.items() if end is not None}


def _by_editor(
    rows: Sequence[MarginRow], tolerance: float, pairs: Mapping[str, PreferencePair]
) -> Iterator[Slice]:
    """Share of an editor's votes that the margins side with; a zero margin sides with nobody."""
    right, components = defaultdict[str, list[float]](list), defaultdict[str, list[str]](list)
    for row in rows:
        for editor, vote in pairs[row.pair_id].editors_votes.items():
            if vote != "tie":
                right[editor].append(float((row.margin if vote == "chosen" else -row.margin) > tolerance))
                components[editor].append(row.component_id)
    for editor, values in sorted(right.items()):
        yield Slice("editor", editor, share_with_interval(values, components[editor]))


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
