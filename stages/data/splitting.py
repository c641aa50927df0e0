"""Exactly `n_holdout` pairs by whole components, in an order that adding pairs hardly moves."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stages.files.hashing import hex_digest


class Earlier(NamedTuple):
    """Places of pairs that an earlier split held out, or that models have learned from or were chosen by."""

    held_out: frozenset[int]
    trained: frozenset[int]


NO_EARLIER = Earlier(frozenset(), frozenset())


class Parts(NamedTuple):
    """Places of rows in the validated file, in salted order: the first n are a fair sample.

    `left_out` is tied to a pair that an earlier split held out: not to be learned from, not held out.
    """

    train: list[int]
    selection: list[int]
    holdout: list[int]
    left_out: list[int]


class HoldoutSizeError(ValueError):
    """No set of whole components has exactly the wanted number of pairs."""

    def __init__(self, wanted: int, nearest: Sequence[int], n_pairs: int) -> None:
        self.wanted, self.nearest, self.n_pairs = wanted, tuple(nearest), n_pairs
        super().__init__(f"no whole components hold exactly {wanted} of {n_pairs} pairs; nearest: {nearest}")


class NothingToTrainError(ValueError):
    """Holdout and selection together leave no pair."""


def choose_parts(
    components: Sequence[str],
    item_keys: Sequence[str],
    *,
    n_holdout: int,
    n_selection: int,
    salt: str,
    earlier: Earlier = NO_EARLIER,
) -> Parts:
    """Put whole components on sides; `components` and `item_keys` have one value per pair.

    Names of components are salted hashes, so their order is the lottery. The holdout is filled from the
    front of the order, selection from the back: neither moves when the other grows. What was held out
    earlier stays held out, what was trained on is never held out, and what is tied to a pair that was
    held out is left out. HoldoutSizeError, with the nearest possible sizes, where the sizes do not add up.
    """
    torn = {components[place] for place in earlier.held_out}
    trained = {components[place] for place in earlier.trained}
    sizes = Counter(name for name in components if name not in torn)
    sizes = Counter(dict(sorted(sizes.items())))
    new = {name: size for name, size in sizes.items() if name not in trained}
    n_kept = len(earlier.held_out)
    if n_kept > n_holdout:
        raise HoldoutSizeError(n_holdout, [n_kept], len(components))
    try:
        holdout = fill_exactly(new, n_holdout - n_kept)
    except HoldoutSizeError as error:
        raise HoldoutSizeError(
            n_holdout, [size + n_kept for size in error.nearest], len(components)
        ) from error
    rest = {name: size for name, size in reversed(sizes.items()) if name not in holdout}
    if sum(rest.values()) <= n_selection:
        raise NothingToTrainError
    selection = fill_at_most(rest, n_selection)

    parts = Parts([], [], [], [])
    for place, name in enumerate(components):
        if place in earlier.held_out or name in holdout:
            parts.holdout.append(place)
        elif name in torn:
            parts.left_out.append(place)
        else:
            (parts.selection if name in selection else parts.train).append(place)
    for part in parts:
        part.sort(key=lambda place: order_key(item_keys[place], salt=salt))
    return parts


def fill_exactly(sizes: Mapping[str, int], wanted: int) -> frozenset[str]:
    """The first components, in the given order, whose sizes sum to exactly `wanted`.

    Each component in turn is taken unless the rest could then not reach the sum exactly, so the
    result is the earliest of all exact sets: a change late in the order moves nothing early.
    """
    names, counts = list(sizes), list(sizes.values())
    reachable = _reachable_sums(counts, wanted)
    if not reachable[0] >> wanted & 1:
        raise HoldoutSizeError(wanted, nearest_sums(counts, wanted), sum(counts))
    taken: list[str] = []
    left = wanted
    for position, (name, count) in enumerate(zip(names, counts, strict=True)):
        if count <= left and reachable[position + 1] >> (left - count) & 1:
            taken.append(name)
            left -= count
        if left == 0:
            break
    return frozenset(taken)


def fill_at_most(sizes: Mapping[str, int], wanted: int) -> frozenset[str]:
    """Components in the given order, each that still fits, up to `wanted` pairs."""
    taken: list[str] = []
    left = wanted
    for name, size in sizes.items():
        if size <= left:
            taken.append(name)
            left -= size
    return frozenset(taken)


def nearest_sums(counts: Sequence[int], wanted: int) -> list[int]:
    """The largest possible holdout below `wanted` and the smallest above, where training is left.

    From any sum up to `wanted`, adding components one at a time passes it by less than the
    largest of them.
    """
    total = sum(counts)
    limit = min(wanted + max(counts, default=0), total - 1)
    mask = (1 << (max(limit, 0) + 1)) - 1
    sums = 1
    for count in counts:  # only the last one is kept: the sums may be as long as the data
        sums = (sums | sums << count) & mask
    possible = [size for size in range(1, limit + 1) if sums >> size & 1]
    below = [size for size in possible if size < wanted][-1:]
    return below + [size for size in possible if size > wanted][:1]


def order_key(item: str, *, salt: str) -> str:
    """The place of a pair in its file: the first n rows are a random n, the same n every time."""
    return hex_digest(salt, "order", item)


def _reachable_sums(counts: Sequence[int], limit: int) -> list[int]:
    """Per position, the sums up to `limit` that components from there on can make, as bits."""
    mask = (1 << (limit + 1)) - 1
    reachable = [1]
    for count in reversed(counts):
        reachable.append((reachable[-1] | reachable[-1] << count) & mask)
    return reachable[::-1]
