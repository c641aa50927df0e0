"""Which prompts begin alike, so that their common beginning is run through a model once."""

from collections.abc import Sequence
from typing import NamedTuple

Tokens = tuple[int, ...]


class PrefixGroup(NamedTuple):
    """Prompts (as places in the given sequence) whose first `n_shared` tokens are the same."""

    n_shared: int
    members: list[int]


def count_shared(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two prompts share from their start."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (left, right) in pairs if left != right), min(len(first), len(second)))


def group_by_prefix(prompts: Sequence[Tokens], *, min_shared: int) -> list[PrefixGroup]:
    """Group prompts that share at least `min_shared` tokens; all others form one group of 0.

    At least one token of every prompt stays outside the shared part, because the model must
    still be run on something. Every place is a member of exactly one group.
    """
    order = sorted(range(len(prompts)), key=lambda place: prompts[place])
    runs: list[list[int]] = []
    for place in order:
        if runs and count_shared(prompts[runs[-1][-1]], prompts[place]) >= min_shared:
            runs[-1].append(place)
        else:
            runs.append([place])
    alone = [run[0] for run in runs if len(run) == 1]
    groups = [PrefixGroup(_count_common(prompts, run), run) for run in runs if len(run) > 1]
    return groups + ([PrefixGroup(0, alone)] if alone else [])


def _count_common(prompts: Sequence[Tokens], run: Sequence[int]) -> int:
    """What all of a sorted run share is what its two ends share."""
    shortest = min(len(prompts[place]) for place in run)
    return min(count_shared(prompts[run[0]], prompts[run[-1]]), shortest - 1)


def split_batches(lengths: Sequence[int], *, max_tokens: int) -> list[list[int]]:
    """Batches of places, longest rows first, whose padded size stays within `max_tokens`.

    A row that is longer than `max_tokens` makes a batch of its own.
    """
    order = sorted(range(len(lengths)), key=lambda place: (-lengths[place], place))
    batches: list[list[int]] = []
    while order:
        n_rows = max(1, max_tokens // max(1, lengths[order[0]]))
        batches.append(order[:n_rows])
        order = order[n_rows:]
    return batches
