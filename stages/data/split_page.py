"""What is said about a split: its numbers, one line, and what each part holds by editor and section."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from stages.data.overlaps import Overlaps
from stages.data.splitting import Parts

N_NAMES = 20


class PairColumns(NamedTuple):
    """What the description of the split needs of every pair, by its place."""

    pair_ids: list[str]
    editors: list[str | None]
    sections: list[str | None]
    is_synthetic: bool


class Stratum(NamedTuple):
    """Pairs of one editor or section; `expected` is what a fair share of the holdout would be."""

    name: str
    n_pairs: int
    n_train: int
    n_selection: int
    n_holdout: int
    expected: float


def list_strata(names: Sequence[str | None], parts: Parts, *, without: str) -> list[Stratum]:
    """One row per name, the most frequent first; the rest in one row, the nameless in another."""
    counts = {part: Counter(names[place] for place in places) for part, places in parts._asdict().items()}
    whole = Counter(names)
    ordered = sorted((name for name in whole if name is not None), key=lambda name: (-whole[name], name))
    groups: list[tuple[str, Sequence[str | None]]] = [(name, [name]) for name in ordered[:N_NAMES]]
    if rest := ordered[N_NAMES:]:
        groups.append((f"{len(rest)} others", rest))
    if None in whole:
        groups.append((without, [None]))
    return [
        Stratum(
            label,
            n_pairs=sum(whole[name] for name in members),
            n_train=sum(counts["train"][name] for name in members),
            n_selection=sum(counts["selection"][name] for name in members),
            n_holdout=sum(counts["holdout"][name] for name in members),
            expected=len(parts.holdout) * sum(whole[name] for name in members) / len(names),
        )
        for label, members in groups
    ]


def describe_strata(columns: PairColumns, parts: Parts) -> dict[str, list[Stratum]]:
    """The tables of the page by their heading."""
    return {
        "Editor": list_strata(columns.editors, parts, without="no editor named"),
        "Section": list_strata(columns.sections, parts, without="no section named"),
    }


def describe_split(
    columns: PairColumns, components: Sequence[str], parts: Parts, overlaps: Overlaps, n_not_compared: int
) -> dict[str, Any]:
    """The numbers of metrics/split.json, without the hash of the holdout."""
    sizes = Counter(components)
    held_out = parts.holdout
    return {
        "n_train": len(parts.train),
        "n_selection": len(parts.selection),
        "n_holdout": len(held_out),
        "n_left_out": len(parts.left_out),
        "n_components": len(sizes),
        "n_components_in_holdout": len({components[place] for place in held_out}),
        "n_pairs_in_largest_component": max(sizes.values()),
        "n_overlaps": sum(overlaps),
        "n_texts_not_compared": n_not_compared,
        "overlaps": overlaps._asdict(),
        "is_synthetic": columns.is_synthetic,
        "strata": {
            "largest_section_gap": largest_gap(
                columns.sections, [columns.sections[place] for place in held_out]
            ),
            "largest_editor_gap": largest_gap(
                columns.editors, [columns.editors[place] for place in held_out]
            ),
        },
    }


def largest_gap(everywhere: Sequence[str | None], held_out: Sequence[str | None]) -> float:
    """The largest difference between a value's share of all pairs and its share of the holdout."""
    whole, part = Counter(everywhere), Counter(held_out)
    gaps = (abs(count / len(everywhere) - part[value] / len(held_out)) for value, count in whole.items())
    return round(max(gaps), 6)


def summarise_split(metrics: dict[str, Any]) -> str:
    """One line for the person watching."""
    counted = f"{metrics['n_overlaps']:,} overlaps"
    if metrics["n_texts_not_compared"]:
        counted += (
            f" as far as can be told: {metrics['n_texts_not_compared']} texts have no spaces between words"
        )
    left_out = f"{metrics['n_left_out']} left out, " if metrics["n_left_out"] else ""
    return (
        f"split: {metrics['n_train']:,} train, {metrics['n_selection']:,} selection, "
        f"{metrics['n_holdout']:,} holdout, {left_out}{metrics['n_components']:,} components, {counted}"
    )
