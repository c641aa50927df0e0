"""The derived row that Great Expectations sees of every row: one column per rule, numbers and flags."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stages.core.pairs import PreferencePair
from stages.core.textforms import count_words


def derive_frame(
    holds: Mapping[str, NDArray[np.bool_]],
    row_of_pair: Sequence[int],
    id_of_pair: NDArray[np.int64],
    n_words: Sequence[int],
) -> dict[str, NDArray[np.generic]]:
    """Flags that a rule holds, except: null where a required field is, the id's number, a word count.

    A row without a pair gets an id number of its own, so that it repeats none.
    """
    n_rows = len(n_words)
    filled = np.where(holds["required_fields_are_filled"], 1.0, np.nan)
    ids = -1 - np.arange(n_rows, dtype=np.int64)
    ids[np.array(row_of_pair, dtype=np.int64)] = id_of_pair
    measured: dict[str, NDArray[np.generic]] = {
        "required_fields_are_filled": filled,
        "pair_ids_are_unique": ids,
        "word_counts_are_within_limits": np.array(n_words, dtype=np.int64),
    }
    return {rule: measured.get(rule, flags) for rule, flags in holds.items()}


def farthest_word_count(pair: PreferencePair | None, low: int, high: int) -> int:
    """The word count of the text that is farthest outside the limits; `low` where there is no pair."""
    if pair is None:
        return low
    counts = (count_words(pair.chosen), count_words(pair.rejected))
    return max(counts, key=lambda count: max(low - count, count - high))
