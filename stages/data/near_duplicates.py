"""Near-duplicate texts: MinHash (Broder 1997) with banding finds candidates, then each is measured.

Similarity is the Jaccard index of the sets of 5-word runs. A text of fewer words has none: it is
equal to another or it is not.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import DisjointSet
from scipy.sparse import csr_array

from stages.data.texts import mix, run_hashes
from stages.files.hashing import seed

N_WORDS_PER_RUN = 5
N_BANDS = 32
MAX_ROWS_PER_BAND = 16
MAX_MISS = 1e-3  # chance that a pair exactly at the limit is no candidate
N_TEXTS_PER_CHUNK = 5_000
N_COMPARED_SINGLY = 4  # texts; for more, comparing all at once is faster
N_ROWS_AT_ONCE = 500

Words = NDArray[np.uint32]
Ends = NDArray[np.int64]


class NearDuplicate(NamedTuple):
    """Two text numbers, the smaller first, and their similarity in (0, 1]."""

    first: int
    second: int
    similarity: float


def find_near_duplicates(
    words: Words, ends: Ends, *, similarity: float, among: NDArray[np.int64] | None = None
) -> list[NearDuplicate]:
    """Pairs of texts with at least `similarity`, enough of them to connect every group of them.

    `among` names the texts that are compared, in ascending order; None: all. Texts already connected
    through others are not measured again, so not every pair is listed.
    """
    texts = np.flatnonzero(np.diff(ends) >= N_WORDS_PER_RUN)
    if among is not None:
        texts = np.intersect1d(texts, among, assume_unique=True)
    bands = _band_hashes(words, ends, texts, n_rows=rows_per_band(similarity))
    groups = DisjointSet()  # of candidates only: most texts are none
    found: list[NearDuplicate] = []
    for bucket in _candidates(bands, texts):
        for text in bucket.tolist():
            groups.add(text)
        if all(groups.connected(bucket[0], text) for text in bucket.tolist()):
            continue
        for link in _near_in(words, ends, bucket, similarity=similarity):
            if groups.merge(link.first, link.second):
                found.append(link)
    return sorted(found)


def _near_in(
    words: Words, ends: Ends, bucket: NDArray[np.int64], *, similarity: float
) -> Iterator[NearDuplicate]:
    """All pairs of a bucket with at least `similarity`."""
    runs = [_runs(words, ends, text) for text in bucket.tolist()]
    pairs: Iterable[tuple[int, int, float]]
    if len(runs) <= N_COMPARED_SINGLY:
        pairs = ((i, j, jaccard(runs[i], runs[j])) for j in range(len(runs)) for i in range(j))
    else:
        pairs = _compare_all(runs, similarity=similarity)
    for i, j, share in pairs:
        if share >= similarity:
            yield NearDuplicate(int(bucket[i]), int(bucket[j]), share)


def _compare_all(runs: list[NDArray[np.uint64]], *, similarity: float) -> Iterator[tuple[int, int, float]]:
    """`jaccard` of many texts at once: who shares how much is a product of sparse matrices.

    Texts of one template just below the limit are all candidates and all stay apart.
    """
    sizes = np.array([len(own) for own in runs])
    numbers = np.unique(np.concatenate(runs), return_inverse=True)[1].ravel()
    starts = np.concatenate([[0], np.cumsum(sizes)])
    holds = csr_array((np.ones(len(numbers), dtype=np.int32), numbers, starts))
    turned = holds.T.tocsr()
    for start in range(0, len(runs), N_ROWS_AT_ONCE):  # bounds the memory: a bucket may hold every text
        shared = (holds[start : start + N_ROWS_AT_ONCE] @ turned).tocoo()
        first, second = shared.row.astype(np.int64) + start, shared.col.astype(np.int64)
        share = shared.data / (sizes[first] + sizes[second] - shared.data)
        near = (first < second) & (share >= similarity)
        yield from zip(first[near].tolist(), second[near].tolist(), share[near].tolist(), strict=True)


def rows_per_band(similarity: float) -> int:
    """The most rows (fewest candidates) at which a pair at the limit is missed below `MAX_MISS`."""
    rows = 1
    while rows < MAX_ROWS_PER_BAND and (1 - similarity ** (rows + 1)) ** N_BANDS < MAX_MISS:
        rows += 1
    return rows


def jaccard(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> float:
    """Shared share of two sorted sets of hashes; 0 when both are empty."""
    n_shared = np.intersect1d(first, second, assume_unique=True).size
    n_all = first.size + second.size - n_shared
    return float(n_shared / n_all) if n_all else 0.0


def _runs(words: Words, ends: Ends, text: int) -> NDArray[np.uint64]:
    return np.unique(run_hashes(words[ends[text] : ends[text + 1]], N_WORDS_PER_RUN))


def _band_hashes(words: Words, ends: Ends, texts: NDArray[np.int64], *, n_rows: int) -> NDArray[np.uint64]:
    """Shape (bands, texts): equal values in one band make two texts candidates."""
    bands = np.empty((N_BANDS, len(texts)), dtype=np.uint64)
    for start in range(0, len(texts), N_TEXTS_PER_CHUNK):
        chunk = texts[start : start + N_TEXTS_PER_CHUNK]
        runs, first_run = _runs_of_many(words, ends, chunk)
        for band in range(N_BANDS):
            value = np.zeros(len(chunk), dtype=np.uint64)
            for row in range(n_rows):
                factor, shift = _permutation(band, row)
                value = mix(value + np.minimum.reduceat(runs * factor + shift, first_run))
            bands[band, start : start + len(chunk)] = value
    return bands


def _runs_of_many(words: Words, ends: Ends, texts: NDArray[np.int64]) -> tuple[Words, NDArray[np.int64]]:
    """The run hashes of the texts, one text after the other, and where each text begins."""
    begin, end = int(ends[texts[0]]), int(ends[texts[-1] + 1])
    hashes = (run_hashes(words[begin:end], N_WORDS_PER_RUN) >> np.uint64(32)).astype(np.uint32)
    n_runs = np.diff(ends)[texts] - N_WORDS_PER_RUN + 1
    first_run = np.concatenate([[0], np.cumsum(n_runs)[:-1]])
    positions = np.arange(n_runs.sum()) + np.repeat(ends[texts] - begin - first_run, n_runs)
    return hashes[positions], first_run


@cache
def _permutation(band: int, row: int) -> tuple[np.uint32, np.uint32]:
    """x -> factor * x + shift modulo 2^32 with an odd factor is one to one."""
    drawn = seed("minhash", str(band), str(row))
    return np.uint32((drawn & 0xFFFFFFFF) | 1), np.uint32((drawn >> 31) & 0xFFFFFFFF)


def _candidates(bands: NDArray[np.uint64], texts: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Texts, in their order, that one band takes for near-duplicates; two or more at a time."""
    for hashes in bands:
        for bucket in _buckets(hashes):
            yield texts[bucket]


def _buckets(hashes: NDArray[np.uint64]) -> list[NDArray[np.int64]]:
    """Positions with equal hashes, two or more each."""
    order = np.argsort(hashes, kind="stable")
    is_new = np.concatenate([[True], hashes[order][1:] != hashes[order][:-1], [True]])
    starts = np.flatnonzero(is_new)
    sizes = np.diff(starts)
    return [order[start : start + size] for start, size in zip(starts[:-1], sizes, strict=True) if size > 1]
