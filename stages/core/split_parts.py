"""The three parts of the split, as places of rows, and what is said about them."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from stages.core.overlaps import Overlaps
from stages.core.splitting import Sides, order_key


class Parts(NamedTuple):
    """Places of rows in the validated file, in salted order: the first n are a fair sample."""

    train: list[int]
    selection: list[int]
    holdout: list[int]


class PairFacts(NamedTuple):
    """What the description of the split needs of every pair, by its place."""

    pair_ids: list[str]
    editors: list[str | None]
    sections: list[str | None]
    is_synthetic: bool


def divide_rows(pair_ids: Sequence[str], components: Sequence[str], sides: Sides, *, salt: str) -> Parts:
    """Put every row where its component is."""
    parts = Parts([], [], [])
    for place, component in enumerate(components):
        if component in sides.holdout:
            parts.holdout.append(place)
        elif component in sides.selection:
            parts.selection.append(place)
        else:
            parts.train.append(place)
    for part in parts:
        part.sort(key=lambda place: order_key(pair_ids[place], salt=salt))
    return parts


def describe_split(
    facts: PairFacts, components: Sequence[str], parts: Parts, overlaps: Overlaps
) -> dict[str, Any]:
    """The numbers of metrics/split.json, without the hash of the holdout."""
    sizes = Counter(components)
    held_out = parts.holdout
    return {
        "n_train": len(parts.train),
        "n_selection": len(parts.selection),
        "n_holdout": len(held_out),
        "n_components": len(sizes),
        "n_components_in_holdout": len({components[place] for place in held_out}),
        "n_pairs_in_largest_component": max(sizes.values()),
        "n_overlaps": sum(overlaps),
        "overlaps": overlaps._asdict(),
        "is_synthetic": facts.is_synthetic,
        "strata": {
            "largest_section_gap": largest_gap(facts.sections, [facts.sections[place] for place in held_out]),
            "largest_editor_gap": largest_gap(facts.editors, [facts.editors[place] for place in held_out]),
        },
    }


def largest_gap(everywhere: Sequence[str | None], held_out: Sequence[str | None]) -> float:
    """The largest difference between a value's share of all pairs and its share of the holdout."""
    whole, part = Counter(everywhere), Counter(held_out)
    gaps = (abs(count / len(everywhere) - part[value] / len(held_out)) for value, count in whole.items())
    return round(max(gaps), 6)
