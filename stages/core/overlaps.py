"""The proof that no text stands on two sides: train, selection, holdout and the fresh prompts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from stages.core.near_duplicates import find_near_duplicates
from stages.core.pairs import PreferencePair, Prompt
from stages.core.text_table import TextTable
from stages.core.textforms import normalise

Parts = Mapping[str, Sequence[PreferencePair]]


class Overlaps(NamedTuple):
    """What two sides have in common, each counted once per two sides; all must be 0."""

    texts: int
    near_duplicates: int
    prompts: int
    groups: int
    components: int
    fresh_prompts: int


def count_overlaps(
    parts: Mapping[str, Sequence[PreferencePair]],
    components: Mapping[str, Sequence[str]],
    fresh: Sequence[Prompt],
    *,
    similarity: float,
) -> Overlaps:
    """Compare the finished sides with each other, not the way in which they were made.

    `components` names the components on each side. A fresh prompt overlaps when it equals a
    pair's prompt or completion after normalisation.
    """
    texts = _sets(parts, lambda pair: [normalise(pair.chosen), normalise(pair.rejected)])
    prompts = _sets(parts, lambda pair: [normalise(pair.prompt)])
    groups = _sets(parts, lambda pair: [] if pair.group_id is None else [pair.group_id])
    known = set[str]().union(*texts.values(), *prompts.values())
    return Overlaps(
        texts=_count_shared(texts),
        near_duplicates=count_near_duplicates(texts, similarity=similarity),
        prompts=_count_shared(prompts),
        groups=_count_shared(groups),
        components=_count_shared({name: set(members) for name, members in components.items()}),
        fresh_prompts=sum(normalise(prompt.prompt) in known for prompt in fresh),
    )


def count_near_duplicates(texts: Mapping[str, set[str]], *, similarity: float) -> int:
    """Near-duplicate texts that stand on different sides; equal texts are counted elsewhere."""
    table, sides = TextTable(), list[set[str]]()
    for side, members in sorted(texts.items()):
        for text in sorted(members):
            number = table.add(text)
            if number == len(sides):
                sides.append(set())
            sides[number].add(side)
    found = find_near_duplicates(table.words, table.ends, similarity=similarity)
    return sum(sides[link.first] != sides[link.second] for link in found)


def _sets(parts: Parts, take: Callable[[PreferencePair], Iterable[str]]) -> dict[str, set[str]]:
    return {name: {value for pair in pairs for value in take(pair)} for name, pairs in parts.items()}


def _count_shared(sets: Mapping[str, set[str]]) -> int:
    return sum(len(first & second) for first, second in combinations(sets.values(), 2))
