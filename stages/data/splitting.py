"""Exactly `n_holdout` pairs by whole components, in an order that adding pairs hardly moves."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from stages.files.hashing import hex_digest


class Sides(NamedTuple):
    """Component names on each side; what is in neither is trained on."""

    holdout: frozenset[str]
    selection: frozenset[str]


class HoldoutSizeError(ValueError):
    """No set of whole components has exactly the wanted number of pairs."""

    def __init__(self, wanted: int, nearest: Sequence[int], n_pairs: int) -> None:
        self.wanted, self.nearest, self.n_pairs = wanted, tuple(nearest), n_pairs
        super().__init__(f"no whole components hold exactly {wanted} of {n_pairs} pairs; nearest: {nearest}")


def choose_sides(components: Iterable[str], *, n_holdout: int, n_selection: int) -> Sides:
    """Put whole components on sides; `components` has one name per pair.

    Names are salted hashes, so their order is the lottery. The holdout is filled from the front
    of the order, selection from the back: neither moves when the other grows. Raises
    HoldoutSizeError, with the nearest possible sizes, where the sizes do not add up.
    """
    sizes = dict(sorted(Counter(components).items()))
    holdout = fill_exactly(sizes, n_holdout)
    rest = {name: size for name, size in reversed(sizes.items()) if name not in holdout}
    return Sides(holdout, fill_at_most(rest, min(n_selection, sum(rest.values()) - 1)))


def fill_exactly(sizes: Mapping[str, int], wanted: int) -> frozenset[str]:
    """The first components, in the given order, whose sizes sum to exactly `wanted`.

    Each component in turn is taken unless the rest could then not reach the sum exactly, so the
    result is the earliest of all exact sets: a change late in the order moves nothing early.
    """
    names, counts = list(sizes), list(sizes.values())
    reachable = _reachable_sums(counts, wanted)
    if not reachable[0] >> wanted & 1 or sum(counts) <= wanted:
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


def order_key(pair_id: str, *, salt: str) -> str:
    """The place of a pair in its file: the first n rows are a random n, the same n every time."""
    return hex_digest(salt, "order", pair_id)


def _reachable_sums(counts: Sequence[int], limit: int) -> list[int]:
    """Per position, the sums up to `limit` that components from there on can make, as bits."""
    mask = (1 << (limit + 1)) - 1
    reachable = [1]
    for count in reversed(counts):
        reachable.append((reachable[-1] | reachable[-1] << count) & mask)
    return reachable[::-1]


class Parts(NamedTuple):
    """Places of rows in the validated file, in salted order: the first n are a fair sample."""

    train: list[int]
    selection: list[int]
    holdout: list[int]


class PairColumns(NamedTuple):
    """What the description of the split needs of every pair, by its place."""

    pair_ids: list[str]
    editors: list[str | None]
    sections: list[str | None]
    is_synthetic: bool


def divide_rows(pair_ids: Sequence[str], components: Sequence[str], sides: Sides, *, salt: str) -> Parts:
    """Put every row where its component is."""
    parts = Parts([], [], [])
    for place, component in enumerate(components):
        if component in sides.holdout:
            parts.holdout.append(place)
        elif component in sides.selection:
            parts.selection.append(place)
        else:
            parts.train.append(place)
    for part in parts:
        part.sort(key=lambda place: order_key(pair_ids[place], salt=salt))
    return parts
