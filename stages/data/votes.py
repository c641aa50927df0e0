"""Votes: who preferred which of two texts, and what most of them preferred.

An item is a prompt and two texts in their normal form, whichever was preferred. Each editor has one vote on
it; rows without an editor may all be one person's, and are one vote. Several rows of one voter are repeats
where they agree, and no vote where they do not.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.data.pair_index import UNKNOWN, PairIndex, first_alike
from stages.files.pairs import Vote

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]


class JudgedRows(NamedTuple):
    """One value per row that judges two texts: its item, editor and source, and the side it takes.

    `side` is 1 or -1 for either text of the item, and 0 for a tie. `order` are the rows from the one that
    stands for all of its voter's to the last one; it does not depend on the order of the file.
    """

    item: Numbers
    editor: Numbers
    side: Numbers
    source: Numbers
    order: Numbers


class Votes(NamedTuple):
    """One value per vote."""

    item: Numbers
    editor: Numbers
    side: Numbers
    source: Numbers


def judged_rows(index: PairIndex) -> JudgedRows:
    """The index's entries, then its ties."""
    keys, n, ties = index.texts.keys.astype(np.int64), len(index), index.ties
    prompt, chosen, rejected = (keys[index.column(name)] for name in ("prompt", "chosen", "rejected"))
    texts = np.stack([prompt, np.minimum(chosen, rejected), np.maximum(chosen, rejected)])
    texts = np.concatenate([texts, ties[3:6]], axis=1)
    side = np.where(chosen == rejected, index.column("way"), np.sign(rejected - chosen))
    side = np.concatenate([side, np.zeros(ties.shape[1], dtype=np.int64)])
    content, id_key = (
        np.concatenate([index.column(name), row]) for name, row in (("content", ties[6]), ("id_key", ties[7]))
    )
    editor, source = (
        np.concatenate([index.column(name), row]) for name, row in (("editor", ties[1]), ("source", ties[2]))
    )
    item = np.unique(texts, axis=1, return_inverse=True)[1].ravel() if n + ties.shape[1] else side
    is_further = np.concatenate([index.column("line"), ties[0]]) < 0  # a pair is kept as its file has it
    return JudgedRows(item, editor, side, source, np.lexsort((id_key, content, is_further)))


class Counted(NamedTuple):
    """Per row: is it its voter's vote, does it repeat that, does its voter say the opposite elsewhere;
    and the row that stands for its item's label, -1 where the item has none.

    `label` is 1, -1 or 0 (undecided) per item; `n_repeated` are voters with several rows, of whom `n_same`
    always said the same.
    """

    is_vote: Flags
    is_repeat: Flags
    is_contradicted: Flags
    label_row: Numbers
    label: Numbers
    votes: Votes
    n_repeated: int
    n_same: int


def count_votes(everything: JudgedRows, may_vote: Flags) -> Counted:
    """The majority of each item's votes, a tie counting for neither side; other rows are neither."""
    places = np.flatnonzero(may_vote)
    place_of = np.cumsum(may_vote) - 1
    order = everything.order[may_vote[everything.order]]
    item, editor, side, source, _ = everything
    rows = JudgedRows(item[places], editor[places], side[places], source[places], place_of[order])
    n, n_items = len(places), int(everything.item.max(initial=-1)) + 1
    voter = rows.item * (int(rows.editor.max(initial=-1)) + 2) + rows.editor + 1
    first = first_alike(voter, rows.order) if n else np.empty(0, dtype=np.int64)
    low, high, source = (np.zeros(n, dtype=np.int64) for _ in range(3))
    for found, values, extreme in (
        (low, rows.side, np.minimum), (high, rows.side, np.maximum), (source, rows.source, np.minimum),
    ):  # fmt: skip
        found[:] = values
        extreme.at(found, first, values)
    is_contradicted = low[first] != high[first]
    is_first = first == np.arange(n)
    is_vote = is_first & ~is_contradicted
    label = np.sign(np.bincount(rows.item, rows.side * is_vote, minlength=n_items)).astype(np.int64)

    label_row = np.full(n_items, -1, dtype=np.int64)
    backwards = rows.order[::-1]
    stands = backwards[(is_vote & (rows.side != 0) & (rows.side == label[rows.item]))[backwards]]
    label_row[rows.item[stands]] = stands  # the first in order is written last
    is_known = np.unique(first[~is_first & (rows.editor != UNKNOWN)])

    def of_all(flags: Flags) -> Flags:
        spread = np.zeros(len(may_vote), dtype=bool)
        spread[places] = flags
        return spread

    return Counted(
        of_all(is_vote), of_all(~is_first & ~is_contradicted), of_all(is_contradicted),
        np.where(label_row >= 0, places[label_row] if n else -1, -1), label,
        Votes(*(values[is_vote] for values in (rows.item, rows.editor, rows.side, source))),
        len(is_known), int((~is_contradicted[is_known]).sum()),
    )  # fmt: skip


class VotesOfPair(NamedTuple):
    """What several editors said of one pair: see `PreferencePair`."""

    n_votes: int
    n_agree: int
    votes: dict[str, Vote]


class Judged(NamedTuple):
    """All votes, before any pair is set aside, and what is known of each item.

    `n_repeated` votes were given several times by one editor, `n_same` of them always alike.
    """

    votes: Votes
    label: Numbers  # of each item: 1, -1 or 0, undecided
    kept: Flags  # of each item
    component: Numbers  # of each item
    section: Numbers  # of each item; -1: not known
    editors: Sequence[str]
    sections: Sequence[str]
    n_repeated: int
    n_same: int


def describe_items(
    index: PairIndex, item: Numbers, counted: Counted, kept_item: Flags, components: Numbers
) -> Judged:
    """The votes with what is known of their items; `item` and `components` have one value per entry.

    An item of ties alone is a component of its own.
    """
    n_items = len(kept_item)
    component = int(components.max(initial=-1)) + 1 + np.arange(n_items)
    component[item] = components
    section = np.full(n_items, -1, dtype=np.int64)
    section[item] = index.column("section")
    return Judged(
        counted.votes, counted.label, kept_item, component, section, index.editors.all, index.sections.all,
        counted.n_repeated, counted.n_same,
    )  # fmt: skip


def votes_of_pairs(counted: Counted, judged: Judged) -> Iterator[tuple[int, VotesOfPair]]:
    """The judged row of each kept pair with several votes, and these."""
    votes = judged.votes
    n_votes = np.bincount(votes.item, minlength=len(judged.kept))
    several = judged.kept & (n_votes > 1)
    chosen = several[votes.item]
    said = dict[int, list[tuple[int, int]]]()
    for item, editor, side in zip(*(column[chosen].tolist() for column in votes[:3]), strict=True):
        said.setdefault(item, []).append((editor, side * int(judged.label[item])))
    words: dict[int, Vote] = {1: "chosen", -1: "rejected", 0: "tie"}
    for item, given in sorted(said.items()):
        known = sorted((judged.editors[editor], words[side]) for editor, side in given if editor >= 0)
        n_agree = sum(side == 1 for _, side in given)
        yield int(counted.label_row[item]), VotesOfPair(len(given), n_agree, dict(known))
