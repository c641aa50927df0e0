"""Which pairs must stay together: those that share a group, a prompt, a text or near-duplicate texts.

Near-duplicate prompts come from one template and join nothing; equal prompts (after
normalisation) do. A run of many shared words joins texts that the similarity of whole texts
misses, such as a paragraph and its longer version.
"""

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from stages.data.near_duplicates import NearDuplicate, find_near_duplicates
from stages.data.texts import TextTable, run_hashes
from stages.files.hashing import hex_digest
from stages.files.pairs import PreferencePair

N_RUNS_PER_PASS = 20_000_000  # bounds the memory of one pass to about 1 GiB


N_POSITIONS_PER_CHUNK = 4_000_000


Links = NDArray[np.int64]  # shape (n, 2): two text numbers a row


def link_shared_runs(words: NDArray[np.uint32], ends: NDArray[np.int64], *, n_words: int) -> Links:
    """Links that connect all texts with a run of `n_words` consecutive words in common.

    The links of one run form a chain, so three texts with the same run have two links.
    """
    n_passes = 1 + len(words) // N_RUNS_PER_PASS
    links = [_link_one_pass(words, ends, n_words, part, n_passes) for part in range(n_passes)]
    return np.unique(np.concatenate(links), axis=0)


def _link_one_pass(
    words: NDArray[np.uint32], ends: NDArray[np.int64], n_words: int, part: int, n_passes: int
) -> Links:
    hash_parts, text_parts = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    for start in range(0, len(words), N_POSITIONS_PER_CHUNK):
        hashes = run_hashes(words[start : start + N_POSITIONS_PER_CHUNK + n_words - 1], n_words)
        positions = np.arange(start, start + len(hashes))
        texts = np.searchsorted(ends, positions, side="right") - 1
        wanted = (positions + n_words <= ends[texts + 1]) & (hashes % np.uint64(n_passes) == part)
        hash_parts.append(hashes[wanted])
        text_parts.append(texts[wanted])
    hashes, texts = np.concatenate(hash_parts), np.concatenate(text_parts)
    order = np.argsort(hashes, kind="stable")
    hashes, texts = hashes[order], texts[order]
    meets = (hashes[1:] == hashes[:-1]) & (texts[1:] != texts[:-1])
    return np.unique(np.stack([texts[:-1][meets], texts[1:][meets]], axis=1), axis=0)


class PairTexts(NamedTuple):
    """The text numbers of every pair's prompt, chosen and rejected, in the order of the pairs."""

    table: TextTable
    prompts: NDArray[np.int64]
    chosen: NDArray[np.int64]
    rejected: NDArray[np.int64]
    groups: NDArray[np.int64]  # -1: not known


class TextLinks(NamedTuple):
    """What connects different completions: near-duplicates, and runs of shared words."""

    near_duplicates: list[NearDuplicate]
    shared_runs: Links


def index_texts(pairs: Iterable[PreferencePair]) -> PairTexts:
    """Number the texts of the pairs; prompts are numbered apart from completions."""
    table, prompts, groups = TextTable(), TextTable(), dict[str, int]()
    numbers = array("q")
    for pair in pairs:
        group = -1 if pair.group_id is None else groups.setdefault(pair.group_id, len(groups))
        numbers.extend((prompts.add(pair.prompt), table.add(pair.chosen), table.add(pair.rejected), group))
    columns = np.array(numbers, dtype=np.int64).reshape(-1, 4).T
    return PairTexts(table, columns[0], columns[1], columns[2], columns[3])


def link_texts(table: TextTable, *, similarity: float, n_shared_words: int) -> TextLinks:
    """Find the near-duplicates and, unless `n_shared_words` is 0, the shared runs of that length."""
    words, ends = table.words, table.ends
    runs = np.empty((0, 2), dtype=np.int64)
    if n_shared_words:
        runs = link_shared_runs(words, ends, n_words=n_shared_words)
    return TextLinks(find_near_duplicates(words, ends, similarity=similarity), runs)


def label_components(texts: PairTexts, links: TextLinks | None) -> NDArray[np.int64]:
    """A component number per pair; pairs that are linked in any way have the same number."""
    n_pairs, n_texts = len(texts.chosen), len(texts.table)
    pair, text, prompt = np.arange(n_pairs), n_pairs, n_pairs + n_texts
    group = prompt + int(texts.prompts.max(initial=-1)) + 1
    n_nodes = group + int(texts.groups.max(initial=-1)) + 1
    has_group = texts.groups >= 0
    edges = [
        np.stack([pair, texts.chosen + text]),
        np.stack([pair, texts.rejected + text]),
        np.stack([pair, texts.prompts + prompt]),
        np.stack([pair[has_group], texts.groups[has_group] + group]),
    ]
    if links is not None:
        near = np.array([link[:2] for link in links.near_duplicates], dtype=np.int64).reshape(-1, 2)
        edges += [near.T + text, links.shared_runs.T + text]
    rows, columns = np.concatenate(edges, axis=1)
    graph = coo_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(n_nodes, n_nodes))
    labels: NDArray[np.int64] = connected_components(graph, directed=False)[1]
    return labels[:n_pairs]


def name_components(pair_ids: Sequence[str], labels: NDArray[np.int64], *, salt: str) -> list[str]:
    """A name per pair's component, 16 hex digits, whose order is a lottery drawn by the salt.

    The name is the hash of one member, the one whose own hash is lowest: a component keeps its
    name, and its place in the order, unless it gains or loses pairs. The lowest hash itself
    would not do as a name: the more members, the lower it is, and large ones would come first.
    """
    firsts: dict[int, str] = {}
    for pair_id, label in zip(pair_ids, labels.tolist(), strict=True):
        own = hex_digest(salt, "member", pair_id)
        firsts[label] = min(own, firsts.get(label, own))
    names = {label: hex_digest(salt, "component", first)[:16] for label, first in firsts.items()}
    return [names[label] for label in labels.tolist()]
