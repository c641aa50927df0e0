"""The proof that no text stands on two sides: train, selection, holdout and the fresh prompts."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple, TypeVar

from stages.data.near_duplicates import find_near_duplicates
from stages.data.texts import TextTable, normalise, text_key
from stages.files.pairs import Prompt, SplitPair

Value = TypeVar("Value", int, str)


class Overlaps(NamedTuple):
    """What two sides have in common, each counted once per two sides; all must be 0."""

    texts: int
    near_duplicates: int
    prompts: int
    groups: int
    components: int
    fresh_prompts: int


class _Side:
    """What is remembered of one side: 64 bits per text, names of groups and components."""

    def __init__(self) -> None:
        self.texts, self.prompts = set[int](), set[int]()
        self.groups, self.components = set[str](), set[str]()


def count_overlaps(
    parts: Mapping[str, Iterable[SplitPair]], fresh: Sequence[Prompt], *, similarity: float
) -> Overlaps:
    """Compare the finished sides with each other, not the way in which they were made.

    A fresh prompt overlaps when it equals a pair's prompt or completion after normalisation.
    """
    table, sides_of_text = TextTable(), list[int]()
    sides = [_Side() for _ in parts]
    for place, (side, pairs) in enumerate(zip(sides, parts.values(), strict=True)):
        for pair in pairs:
            _remember(side, pair)
            for text in (pair.chosen, pair.rejected):
                number = table.add(text)
                if number == len(sides_of_text):
                    sides_of_text.append(0)
                sides_of_text[number] |= 1 << place
    near = find_near_duplicates(table.words, table.ends, similarity=similarity)
    known = set[int]().union(*(side.texts | side.prompts for side in sides))
    return Overlaps(
        texts=_count_shared([side.texts for side in sides]),
        near_duplicates=sum(sides_of_text[link.first] != sides_of_text[link.second] for link in near),
        prompts=_count_shared([side.prompts for side in sides]),
        groups=_count_shared([side.groups for side in sides]),
        components=_count_shared([side.components for side in sides]),
        fresh_prompts=sum(text_key(normalise(prompt.prompt)) in known for prompt in fresh),
    )


def _remember(side: _Side, pair: SplitPair) -> None:
    side.texts.update(text_key(normalise(text)) for text in (pair.chosen, pair.rejected))
    side.prompts.add(text_key(normalise(pair.prompt)))
    side.components.add(pair.component_id)
    if pair.group_id is not None:
        side.groups.add(pair.group_id)


def _count_shared(sets: Sequence[set[Value]]) -> int:
    return sum(len(first & second) for first, second in combinations(sets, 2))
