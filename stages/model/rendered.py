"""A pair as token ids, and the order in which pairs are scored."""

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

from stages.files.hashing import hex_digest
from stages.files.pairs import SplitPair


def n_common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two sequences share from their start."""
    same = (one == other for one, other in zip(first, second, strict=False))
    return sum(1 for _ in takewhile(bool, same))


class RenderedPair(NamedTuple):
    """Token ids of one pair. Both completions include their end-of-turn tokens."""

    pair_id: str
    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: list[int]

    @property
    def n_shared_tokens(self) -> int:
        """Tokens with which both completions begin."""
        return n_common(self.chosen_ids, self.rejected_ids)

    @property
    def n_row_tokens(self) -> int:
        """Tokens of the prompt and both completions, their common beginning counted once."""
        n_apart = len(self.prompt_ids) + len(self.chosen_ids) + len(self.rejected_ids)
        return n_apart - self.n_shared_tokens

    @property
    def n_longest_tokens(self) -> int:
        """Tokens of the prompt and the longer completion: what `max_length` bounds."""
        return len(self.prompt_ids) + max(len(self.chosen_ids), len(self.rejected_ids))


def render_sha256(pair: RenderedPair) -> str:
    """Hash of the token ids: two stages that agree on it scored the same thing."""
    return hex_digest(*(" ".join(map(str, ids)) for ids in pair[1:]))


def kept_pairs(pairs: Sequence[SplitPair], rendered: Sequence[RenderedPair]) -> list[SplitPair]:
    """The pairs that were rendered and not set aside for their length, in their order."""
    ids = {pair.pair_id for pair in rendered}
    return [pair for pair in pairs if pair.pair_id in ids]


def similar_length_batches(pairs: Sequence[RenderedPair], *, batch_size: int) -> Iterator[list[RenderedPair]]:
    """Batches of pairs of similar length, longest first; the same pairs always give the same batches.

    Longest first, so that a batch that does not fit in memory is the first one.
    """
    ordered = sorted(pairs, key=lambda pair: (-pair.n_row_tokens, pair.pair_id))
    for start in range(0, len(ordered), batch_size):
        yield ordered[start : start + batch_size]
