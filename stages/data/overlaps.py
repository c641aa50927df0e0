"""The proof that no text stands on two sides: train, selection, holdout and the fresh prompts."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from stages.data.near_duplicates import find_near_duplicates
from stages.data.shared_runs import RunLengths, find_shared_runs, link_shared_runs
from stages.data.texts import TextTable
from stages.files.pairs import Prompt, SplitPair

Value = TypeVar("Value", int, str)


class Overlaps(NamedTuple):
    """What two sides have in common, each counted once per two sides; all must be 0."""

    texts: int
    near_duplicates: int
    prompts: int
    prompts_among_texts: int
    shared_runs: int
    groups: int
    components: int
    fresh_prompts: int


class Proof(NamedTuple):
    """The overlaps, and how many texts were compared as wholes only: nobody knows where their words end."""

    overlaps: Overlaps
    n_not_compared: int


class _Side:
    """What is remembered of one side: numbers of texts, names of groups and components."""

    def __init__(self) -> None:
        self.texts, self.prompts = set[int](), set[int]()
        self.groups, self.components = set[str](), set[str]()


def count_overlaps(
    parts: Mapping[str, Iterable[SplitPair]],
    fresh: Sequence[Prompt],
    *,
    similarity: float,
    lengths: RunLengths,
) -> Proof:
    """Compare the finished sides with each other, not the way in which they were made.

    A fresh prompt overlaps when it equals a pair's prompt or completion after normalisation, or shares
    a run of words with it.
    """
    table, sides = TextTable(), [_Side() for _ in parts]
    for side, pairs in zip(sides, parts.values(), strict=True):
        for pair in pairs:
            side.prompts.add(table.add(pair.prompt))
            side.texts.update((table.add(pair.chosen), table.add(pair.rejected)))
            side.components.add(pair.component_id)
            if pair.group_id is not None:
                side.groups.add(pair.group_id)
    of_text = _mark_sides([side.texts for side in sides], len(table))
    of_prompt = _mark_sides([side.prompts for side in sides], len(table))
    is_prompt = of_text == 0
    near = find_near_duplicates(
        table.words, table.ends, similarity=similarity, among=np.flatnonzero(~is_prompt)
    )
    runs = (of_text | of_prompt)[link_shared_runs(table, is_prompt, lengths)]
    shared = find_shared_runs([prompt.prompt for prompt in fresh], table, is_prompt, lengths)
    stale = {place for place, prompt in enumerate(fresh) if table.find(prompt.prompt) is not None}
    overlaps = Overlaps(
        texts=_count_shared([side.texts for side in sides]),
        near_duplicates=sum(of_text[link.first] != of_text[link.second] for link in near),
        prompts=_count_shared([side.prompts for side in sides]),
        prompts_among_texts=int(((of_text != 0) & (of_prompt != 0) & (of_text != of_prompt)).sum()),
        shared_runs=int((runs[:, 0] != runs[:, 1]).sum()),
        groups=_count_shared([side.groups for side in sides]),
        components=_count_shared([side.components for side in sides]),
        fresh_prompts=len(stale | set(shared)),
    )
    return Proof(Overlaps(*map(int, overlaps)), table.n_without_words)


def _mark_sides(texts_of_sides: Sequence[set[int]], n_texts: int) -> NDArray[np.int64]:
    """Per text, one bit for each side on which it stands."""
    marks = np.zeros(n_texts, dtype=np.int64)
    for bit, texts in enumerate(texts_of_sides):
        marks[list(texts)] |= 1 << bit
    return marks


def _count_shared(sets: Sequence[set[Value]]) -> int:
    return sum(len(first & second) for first, second in combinations(sets, 2))
