"""How many pairs a raw file has and how long they are, without holding it."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from stages.adapters.tables import open_pairs
from stages.core.raw_rows import read_pair
from stages.core.text_lengths import PairCharacters
from stages.errors import InputError

N_MEASURED = 5000  # pairs whose texts are measured; the rest are counted


class PairFile(NamedTuple):
    """Readable pairs of a file: their number, and the lengths of the first of them."""

    n_pairs: int
    lengths: list[PairCharacters]


def measure_pairs(path: Path, mapping: Mapping[str, str]) -> PairFile:
    """Count the rows and measure the first readable ones; InputError where none can be read."""
    table = open_pairs(path, mapping)
    lengths: list[PairCharacters] = []
    n_rows = 0
    for row in table.rows:
        n_rows += 1
        pair = read_pair(row, table.columns).pair if len(lengths) < N_MEASURED else None
        if pair is not None:
            lengths.append(PairCharacters(len(pair.prompt), len(pair.chosen), len(pair.rejected)))
    if not lengths:
        raise InputError(f"{path}: no pair can be read; `bluepencil data check {path}` says why")
    return PairFile(n_rows, lengths)
