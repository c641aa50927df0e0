"""Texts that share a run of consecutive words, found exactly.

Thirteen shared words are what the field calls contamination (Brown et al. 2020, appendix C).
"""

import numpy as np
from numpy.typing import NDArray

from stages.core.text_table import run_hashes

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
