"""The three parts of the split as rows, and what is said about them."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from stages.core.overlaps import Overlaps
from stages.core.pairs import PreferencePair, Prompt, SplitPair
from stages.core.splitting import Sides, order_key, split_sha256


class Parts(NamedTuple):
    """Each in salted order, so its first n rows are a fair sample of it."""

    train: list[SplitPair]
    selection: list[SplitPair]
    holdout: list[SplitPair]


def divide_pairs(
    pairs: Sequence[PreferencePair], components: Sequence[str], sides: Sides, *, salt: str
) -> Parts:
    """Put every pair where its component is."""
    parts = Parts([], [], [])
    for pair, component in zip(pairs, components, strict=True):
        row = SplitPair(component_id=component, **dict(pair))
        if component in sides.holdout:
            parts.holdout.append(row)
        elif component in sides.selection:
            parts.selection.append(row)
        else:
            parts.train.append(row)
    for part in parts:
        part.sort(key=lambda row: order_key(row.pair_id, salt=salt))
    return parts


def describe_split(parts: Parts, prompts: Sequence[Prompt], overlaps: Overlaps) -> dict[str, Any]:
    """The numbers of metrics/split.json."""
    rows = [row for part in parts for row in part]
    sizes = Counter(row.component_id for row in rows)
    return {
        "n_train": len(parts.train),
        "n_selection": len(parts.selection),
        "n_holdout": len(parts.holdout),
        "n_components": len(sizes),
        "n_components_in_holdout": len({row.component_id for row in parts.holdout}),
        "n_pairs_in_largest_component": max(sizes.values()),
        "n_overlaps": sum(overlaps),
        "overlaps": overlaps._asdict(),
        "split_sha256": split_sha256(parts.holdout),
        "is_synthetic": any(row.synthetic for row in rows) or any(prompt.synthetic for prompt in prompts),
        "strata": {
            "largest_section_gap": largest_gap(
                [row.section for row in rows], [row.section for row in parts.holdout]
            ),
            "largest_editor_gap": largest_gap(
                [row.editor for row in rows], [row.editor for row in parts.holdout]
            ),
        },
    }


def largest_gap(everywhere: Sequence[str | None], held_out: Sequence[str | None]) -> float:
    """The largest difference between a value's share of all pairs and its share of the holdout."""
    whole, part = Counter(everywhere), Counter(held_out)
    return max(abs(count / len(everywhere) - part[value] / len(held_out)) for value, count in whole.items())
