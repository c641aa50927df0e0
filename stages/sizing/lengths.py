"""Tokens from characters, before a tokenizer is at hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from stages.data.forms.rows import read_pair
from stages.data.forms.tables import open_pairs
from stages.errors import InputError
from stages.sizing.memory import Lengths

# The sample corpus has 4.13 with the built-in model's tokenizer. Larger vocabularies merge more, so that this
# errs on the side of too many tokens.
CHARACTERS_PER_TOKEN = 4.1
TEMPLATE_TOKENS = 30  # role tags, a system prompt and ends of turns, once a row


class PairCharacters(NamedTuple):
    """Characters of one pair."""

    prompt: int
    chosen: int
    rejected: int


def estimate_lengths(pairs: Sequence[PairCharacters], *, n_used: int) -> Lengths:
    """Mean lengths, and the longest to expect among `n_used` pairs drawn from `pairs`; ValueError on none."""
    if not pairs:
        raise ValueError("no pair has texts")
    rows = sorted(sum(pair) / CHARACTERS_PER_TOKEN + TEMPLATE_TOKENS for pair in pairs)
    labels = sorted((pair.chosen + pair.rejected) / CHARACTERS_PER_TOKEN for pair in pairs)
    place = min(len(pairs) - 1, int(len(pairs) * n_used / (n_used + 1)))
    return Lengths(
        mean_row=sum(rows) / len(rows),
        longest_row=rows[place],
        mean_labels=sum(labels) / len(labels),
        longest_labels=labels[place],
        mean_prompt=sum(pair.prompt for pair in pairs) / len(pairs) / CHARACTERS_PER_TOKEN + TEMPLATE_TOKENS,
    )


class TooLong(NamedTuple):
    """Pairs above `rows.max_length`, and the tokens of the longest."""

    n: int
    longest: float


def count_too_long(pairs: Sequence[PairCharacters], *, max_length: int) -> TooLong:
    """By what `max_length` bounds: the prompt and the longer completion."""
    tokens = [
        (pair.prompt + max(pair.chosen, pair.rejected)) / CHARACTERS_PER_TOKEN + TEMPLATE_TOKENS
        for pair in pairs
    ]
    return TooLong(sum(one > max_length for one in tokens), max(tokens, default=0.0))


N_MEASURED = 5000  # pairs whose texts are measured; the rest are counted


class PairFile(NamedTuple):
    """Readable pairs of a file: their number, and the lengths of the first of them."""

    n_pairs: int
    lengths: list[PairCharacters]


def measure_pairs(path: Path, mapping: Mapping[str, str], sheet: str | None) -> PairFile:
    """Count the rows and measure the first readable ones; InputError where none can be read."""
    table = open_pairs(path, mapping, sheet)
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
