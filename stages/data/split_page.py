"""What the page about the split shows: what each part holds, by editor and by section."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from stages.data.splitting import PairFacts, Parts

N_NAMES = 20


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


def describe_strata(facts: PairFacts, parts: Parts) -> dict[str, list[Stratum]]:
    """The tables of the page by their heading."""
    return {
        "Editor": list_strata(facts.editors, parts, without="no editor named"),
        "Section": list_strata(facts.sections, parts, without="no section named"),
    }
