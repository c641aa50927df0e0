"""Which pairs must stay together: those that share a group, a prompt, a text or near-duplicate texts.

Near-duplicate prompts come from one template and join nothing; equal prompts (after normalisation)
do, and a prompt that is another pair's completion does. Runs of shared words join texts that the
similarity of whole texts misses, such as a paragraph and its longer version, see `shared_runs`.
"""

from array import array
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from stages.data.near_duplicates import NearDuplicate, find_near_duplicates
from stages.data.shared_runs import Links, RunLengths, link_shared_runs
from stages.data.texts import TextTable
from stages.files.hashing import hex_digest
from stages.files.pairs import PreferencePair

Numbers = NDArray[np.int64]


class PairTexts(NamedTuple):
    """The text numbers of every pair's prompt, chosen and rejected, in the order of the pairs."""

    table: TextTable
    prompts: Numbers
    chosen: Numbers
    rejected: Numbers
    groups: Numbers  # -1: not known

    @property
    def completions(self) -> Numbers:
        """The numbers of the texts that are a completion."""
        return np.unique(np.concatenate([self.chosen, self.rejected]))

    @property
    def is_prompt(self) -> NDArray[np.bool_]:
        """Per text: is it a prompt and no completion?"""
        flags = np.zeros(len(self.table), dtype=bool)
        flags[self.prompts] = True
        flags[self.completions] = False
        return flags

    @property
    def item_keys(self) -> list[str]:
        """`item_key` of every pair."""
        keys = self.table.keys
        columns = (keys[numbers].tolist() for numbers in (self.prompts, self.chosen, self.rejected))
        return [item_key(*texts) for texts in zip(*columns, strict=True)]


def item_key(prompt: int, chosen: int, rejected: int) -> str:
    """16 hex digits that stand for a prompt and two texts (each a `text_key`), whichever was preferred."""
    return hex_digest(*(f"{key:016x}" for key in (prompt, *sorted((chosen, rejected)))))[:16]


class TextLinks(NamedTuple):
    """What connects different texts: near-duplicate completions, and runs of shared words."""

    near_duplicates: list[NearDuplicate]
    shared_runs: Links


def index_texts(pairs: Iterable[PreferencePair]) -> PairTexts:
    """Number the texts of the pairs."""
    table, groups, numbers = TextTable(), dict[str, int](), array("q")
    for pair in pairs:
        group = -1 if pair.group_id is None else groups.setdefault(pair.group_id, len(groups))
        numbers.extend((table.add(pair.prompt), table.add(pair.chosen), table.add(pair.rejected), group))
    columns = np.array(numbers, dtype=np.int64).reshape(-1, 4).T
    return PairTexts(table, columns[0], columns[1], columns[2], columns[3])


def link_texts(texts: PairTexts, *, similarity: float, lengths: RunLengths) -> TextLinks:
    """Find the near-duplicate completions and the shared runs."""
    table = texts.table
    near = find_near_duplicates(table.words, table.ends, similarity=similarity, among=texts.completions)
    return TextLinks(near, link_shared_runs(table, texts.is_prompt, lengths))


Cause = Literal["group", "prompt", "text", "near-duplicate texts", "run of shared words"]
CAUSES: tuple[Cause, ...] = get_args(Cause)


def label_components(texts: PairTexts, links: TextLinks, causes: Sequence[Cause] = CAUSES) -> Numbers:
    """A component number per pair; pairs that are linked by any of `causes` have the same number."""
    n_pairs, n_texts = len(texts.chosen), len(texts.table)
    pair, text, group = np.arange(n_pairs), n_pairs, n_pairs + n_texts
    n_nodes = group + int(texts.groups.max(initial=-1)) + 1
    has_group = texts.groups >= 0
    near = np.array([link[:2] for link in links.near_duplicates], dtype=np.int64).reshape(-1, 2)
    sides = [np.stack([pair, side + text]) for side in (texts.chosen, texts.rejected)]
    edges: dict[Cause, list[Numbers]] = {
        "group": [np.stack([pair[has_group], texts.groups[has_group] + group])],
        "prompt": [np.stack([pair, texts.prompts + text])],
        "text": sides,
        "near-duplicate texts": [*sides, near.T + text],
        "run of shared words": [*sides, links.shared_runs.T + text],
    }
    rows, columns = np.concatenate([edge for cause in causes for edge in edges[cause]], axis=1)
    graph = coo_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(n_nodes, n_nodes))
    labels: Numbers = connected_components(graph, directed=False)[1]
    return labels[:n_pairs]


class LargestComponent(NamedTuple):
    """How many of the pairs stay together, because of what, and two of them (their places)."""

    n_pairs: int
    n_all: int
    cause: Cause
    examples: tuple[int, int]
    is_one_value: bool  # one group, or one prompt

    @property
    def in_words(self) -> str:
        """A clause for a message."""
        what = {
            "group": "share one group, or are tied by groups",
            "prompt": "share one prompt, or are tied by groups and prompts",
            "text": "are tied by texts that recur",
            "near-duplicate texts": "are tied by near-duplicate texts",
            "run of shared words": "are tied by runs of words that texts share",
        }
        exactly = {"group": "share one group", "prompt": "share one prompt"}
        n = f"all {self.n_all}" if self.n_pairs == self.n_all else f"{self.n_pairs} of {self.n_all}"
        words = exactly.get(self.cause) if self.is_one_value else None
        return f"{n} pairs {words or what[self.cause]}"


def describe_largest(texts: PairTexts, links: TextLinks) -> LargestComponent:
    """The largest component and the cause that first ties most of it, tried in the order of `CAUSES`."""
    labels = label_components(texts, links)
    members = np.flatnonzero(labels == np.bincount(labels).argmax())
    for n_causes in range(1, len(CAUSES) + 1):
        part = label_components(texts, links, CAUSES[:n_causes])[members]
        tied = members[part == np.bincount(part).argmax()]
        if 2 * len(tied) > len(members):
            break
    cause = CAUSES[n_causes - 1]
    values = {"group": texts.groups, "prompt": texts.prompts}.get(cause)
    is_one = values is not None and len(np.unique(values[members])) == 1
    return LargestComponent(
        len(members), len(labels), cause, (int(tied[0]), int(tied[-1])), is_one_value=is_one
    )


def name_components(item_keys: Sequence[str], labels: Numbers, *, salt: str) -> list[str]:
    """A name per pair's component, 16 hex digits, whose order is a lottery drawn by the salt.

    The name is the hash of one member, the one whose own hash is lowest: a component keeps its
    name, and its place in the order, unless it gains or loses pairs. The lowest hash itself
    would not do as a name: the more members, the lower it is, and large ones would come first.
    Names come from what the pairs say, so neither ids nor the order of rows matter.
    """
    firsts: dict[int, str] = {}
    for key, label in zip(item_keys, labels.tolist(), strict=True):
        own = hex_digest(salt, "member", key)
        firsts[label] = min(own, firsts.get(label, own))
    names = {label: hex_digest(salt, "component", first)[:16] for label, first in firsts.items()}
    return [names[label] for label in labels.tolist()]
