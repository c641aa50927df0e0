"""The rules that compare rows with each other."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from stages.data.forms.rows import Finding
from stages.data.near_duplicates import N_WORDS_PER_RUN, NearDuplicate, jaccard
from stages.data.pair_index import UNKNOWN, PairIndex, first_alike, say_line
from stages.data.texts import normalise, run_hashes
from stages.data.votes import Counted, JudgedRows, count_votes, judged_rows
from stages.files.numbers import percent

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Contradictions(NamedTuple):
    """Per row: the number of its conflict or circle, -1 where it is in none."""

    conflict: Numbers
    circle: Numbers


def find_contradictions(preferred: Numbers, other: Numbers) -> Contradictions:
    """Rows that say the opposite of another row, and rows of circles over three or more texts.

    An edge lies on a circle exactly when both ends are in one strongly connected component.
    Conflicts are taken out first, so that a circle is never just two rows. Rows whose two texts
    are equal have no edge.
    """
    if not len(preferred):
        return Contradictions(preferred.copy(), preferred.copy())
    low, high = np.minimum(preferred, other), np.maximum(preferred, other)
    n_texts = int(high.max()) + 1
    edge = low * n_texts + high
    forward = (preferred == low) & (low != high)
    backward = (preferred == high) & (low != high)
    both = np.intersect1d(edge[forward], edge[backward])
    in_conflict = np.isin(edge, both) & (low != high)
    conflict = np.where(in_conflict, np.searchsorted(both, edge), -1)

    is_edge = (low != high) & ~in_conflict
    graph = coo_array(
        (np.ones(is_edge.sum(), dtype=np.int32), (preferred[is_edge], other[is_edge])),
        shape=(n_texts, n_texts),
    )
    part = connected_components(graph, directed=True, connection="strong")[1]
    on_circle = is_edge & (part[preferred] == part[other])
    return Contradictions(conflict, np.where(on_circle, part[preferred], -1))


N_LINES_NAMED = 5
Found = tuple[int, Finding]  # the judged row (an entry of the index, then its ties), and what was found


class Compared(NamedTuple):
    """Findings per judged row, how many conflicts and circles they come from, and what the votes say."""

    findings: list[Found]
    n_conflicts: int
    n_circles: int
    rows: JudgedRows
    counted: Counted


def compare_rows(
    index: PairIndex, near: Sequence[NearDuplicate], sound: Flags, *, similarity: float
) -> Compared:
    """All findings that need more than one row; `near` are the near-duplicate texts.

    `sound` are the entries that no other rule sets aside: they and the ties have votes.
    """
    clusters = cluster_texts(len(index.texts), near)
    rows = judged_rows(index)
    ids = list(_repeated_ids(index, rows.item))
    may_vote = np.concatenate([sound, np.ones(index.ties.shape[1], dtype=bool)])
    may_vote[[entry for entry, _ in ids]] = False
    counted = count_votes(rows, may_vote)
    lines = np.concatenate([index.column("line"), index.ties[0]])

    labelled = np.flatnonzero(counted.label_row >= 0)
    label_row = counted.label_row[labelled]
    chosen, rejected = index.column("chosen")[label_row], index.column("rejected")[label_row]
    contradictions = find_contradictions(chosen, rejected)
    first = first_alike(chosen * len(index.texts) + rejected, np.argsort(np.argsort(rows.order)[label_row]))
    of_item = np.full(len(counted.label), -1, dtype=np.int64)
    of_item[labelled] = np.arange(len(labelled))
    place = np.where(counted.is_vote | counted.is_repeat, of_item[rows.item], -1)  # among the labelled items
    conflict, circle = (_at(numbers, place) for numbers in contradictions)
    said = _at(chosen, place)
    findings = [
        *ids,
        *_repeats(rows, counted, lines),
        *_same_texts(place, first, lines[label_row]),
        *_undecided(rows, counted),
        *_numbered(_voters(rows, counted), rows.side, lines, "labels_do_not_conflict", OPPOSITE),
        *_numbered(conflict, said, lines, "labels_do_not_conflict", OPPOSITE),
        *_numbered(circle, said, lines, "labels_have_no_cycle", "the preferences run in a circle with"),
        *_other_spellings(index),
        *_recurring_texts(index, clusters, rows),
        *_close_sides(index, clusters, similarity=similarity),
    ]
    n_conflicts = _count(contradictions.conflict) + len(np.unique(rows.item[counted.is_contradicted]))
    return Compared(findings, n_conflicts, _count(contradictions.circle), rows, counted)


OPPOSITE = "the opposite preference stands on"


def _at(numbers: Numbers, place: Numbers) -> Numbers:
    """The number at each place; -1 where there is none."""
    return np.where(place >= 0, numbers[place], -1) if len(numbers) else np.full(len(place), -1)


def _repeated_ids(index: PairIndex, items: Numbers) -> Iterator[Found]:
    """Every row with an id that a row with other texts has: nobody can tell which of them is meant."""
    lines, ids = index.column("line"), index.column("id")
    entries = np.arange(len(ids))
    first, last = first_alike(ids, entries), first_alike(ids, entries[::-1])
    differs = np.zeros(len(ids), dtype=bool)
    np.logical_or.at(differs, first, items[: len(ids)] != items[first])
    for entry in np.flatnonzero(differs[first]).tolist():
        other = last[entry] if first[entry] == entry else first[entry]
        words = "the same id" if items[other] == items[entry] else "the same id and other texts"
        yield entry, Finding("pair_ids_are_unique", f"{say_line(lines[other])} has {words}")


def _repeats(rows: JudgedRows, counted: Counted, lines: Numbers) -> Iterator[Found]:
    """Rows of a voter but one, which is chosen by what it holds: the order of rows is chance."""
    voted = np.flatnonzero(counted.is_vote)
    vote_of = dict(
        zip(zip(rows.item[voted].tolist(), rows.editor[voted].tolist(), strict=True), voted, strict=True)
    )
    for row in np.flatnonzero(counted.is_repeat).tolist():
        other = vote_of[int(rows.item[row]), int(rows.editor[row])]
        by = "" if rows.editor[row] == UNKNOWN else ", by the same editor"
        yield (
            row,
            Finding("rows_are_unique", f"{say_line(lines[other])} holds the same texts, judged the same{by}"),
        )


def _same_texts(place: Numbers, first: Numbers, lines: Numbers) -> Iterator[Found]:
    """Rows of texts that stand under another wording of the prompt, too, judged the same."""
    for row in np.flatnonzero((place >= 0) & (_at(first, place) != place)).tolist():
        line = lines[first[place[row]]]
        yield row, Finding("rows_are_unique", f"{say_line(line)} holds the same texts, judged the same")


def _undecided(rows: JudgedRows, counted: Counted) -> Iterator[Found]:
    """Rows of items without a majority."""
    n_for = np.bincount(rows.item, counted.is_vote & (rows.side == 1), minlength=len(counted.label))
    undecided = counted.is_vote & (counted.label[rows.item] == 0)
    for row in np.flatnonzero(undecided).tolist():
        n = int(n_for[rows.item[row]])
        editors = "1 editor prefers" if n == 1 else f"{n} editors prefer"
        found = (
            f"an even split: {editors} each of the two texts" if n else "neither text was preferred, a tie"
        )
        yield row, Finding("preference_is_decided", found)


def _voters(rows: JudgedRows, counted: Counted) -> Numbers:
    """A number per voter who says one thing and the opposite; -1 for other rows."""
    voter = rows.item * (int(rows.editor.max(initial=-1)) + 2) + rows.editor + 1
    return np.where(counted.is_contradicted, voter, -1)


def spelling_key(name: str) -> str:
    """What is the same of a name in every spelling: its letters and digits, whatever their case."""
    return normalise(name).replace(" ", "")


def _other_spellings(index: PairIndex) -> Iterator[Found]:
    """Rows of an editor whose name is written otherwise in more rows, or in as many and earlier."""
    editors = np.concatenate([index.column("editor"), index.ties[1]])
    counts = np.bincount(editors[editors >= 0], minlength=len(index.editors)).tolist()
    names = index.editors.all
    usual: dict[str, int] = {}
    for number in sorted(range(len(names)), key=lambda number: (-counts[number], names[number])):
        usual.setdefault(spelling_key(names[number]), number)
    others = {n: names[usual[spelling_key(name)]] for n, name in enumerate(names)}
    for row in np.flatnonzero(editors >= 0).tolist():
        if (written := names[editors[row]]) != (name := others[int(editors[row])]):
            yield row, Finding("editors_are_spelled_one_way", f"editor is {written!r}, elsewhere {name!r}")


def _numbered(numbers: Numbers, said: Numbers, lines: Numbers, rule: str, what: str) -> Iterator[Found]:
    """One finding per row with a number, naming lines of the same number that say something else."""
    says = said.tolist()
    members: dict[int, list[int]] = defaultdict(list)
    for row in np.flatnonzero(numbers >= 0).tolist():
        members[int(numbers[row])].append(row)
    for rows in members.values():
        candidates = first_of_each(rows, says)
        for row in rows:
            others = [say_line(lines[other]) for other in candidates if says[other] != says[row]]
            named = ", ".join([*others[:1], *(one.removeprefix("line ") for one in others[1:N_LINES_NAMED])])
            more = " …" if len(others) > N_LINES_NAMED else ""
            yield row, Finding(rule, f"{what} {named}{more}")


def first_of_each(entries: Sequence[int], chosen: Sequence[int]) -> list[int]:
    """Few entries that hold, for every entry, the first ones with another chosen text: a circle may be huge.

    One more than are named of each chosen text, and twice that in all, are enough.
    """
    taken: dict[int, int] = defaultdict(int)
    first: list[int] = []
    for entry in entries:
        if taken[chosen[entry]] <= N_LINES_NAMED:
            taken[chosen[entry]] += 1
            first.append(entry)
            if len(first) == 2 * (N_LINES_NAMED + 1):
                break
    return first


def _recurring_texts(index: PairIndex, clusters: Numbers, rows: JudgedRows) -> Iterator[Found]:
    """Rows of items with a text that another item has, or nearly; the votes on one item share theirs."""
    n, lines = len(index), index.column("line")
    if not n:
        return
    first_of_item = first_alike(rows.item[:n], np.arange(n))
    items = np.flatnonzero(first_of_item == np.arange(n))
    first, second = clusters[index.column("chosen")[items]], clusters[index.column("rejected")[items]]
    other = items[first != second]  # where they are equal, a pair's own two texts do not recur in it
    entries = np.concatenate([items, other])
    cluster = np.concatenate([first, second[first != second]])
    order = np.lexsort((entries, cluster))
    found: dict[int, int] = {}
    for members in np.split(entries[order], np.flatnonzero(np.diff(cluster[order])) + 1):
        for entry in members.tolist() if len(members) > 1 else ():
            found.setdefault(entry, int(members[1] if entry == members[0] else members[0]))
    for entry in range(n):
        if (recurs := found.get(int(first_of_item[entry]))) is not None:
            yield (
                entry,
                Finding("pairs_are_not_near_duplicates", f"a text recurs on {say_line(lines[recurs])}"),
            )


def cluster_texts(n_texts: int, near: Sequence[NearDuplicate]) -> NDArray[np.int64]:
    """A number per text; near-duplicates, also through others, have the same."""
    if n_texts == 0:
        return np.empty(0, dtype=np.int64)
    ends = np.array([link[:2] for link in near], dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(near), dtype=np.int32), (ends[0], ends[1])), shape=(n_texts, n_texts))
    return connected_components(graph, directed=False)[1].astype(np.int64)  # type: ignore[no-any-return]


def _close_sides(index: PairIndex, clusters: NDArray[np.int64], *, similarity: float) -> Iterator[Found]:
    words, ends = index.texts.words, index.texts.ends
    sides = zip(index.column("chosen").tolist(), index.column("rejected").tolist(), strict=True)
    for entry, (chosen, rejected) in enumerate(sides):
        if chosen != rejected and clusters[chosen] == clusters[rejected]:
            share = side_similarity(
                words[ends[chosen] : ends[chosen + 1]], words[ends[rejected] : ends[rejected + 1]]
            )
            if share >= similarity:
                yield (
                    entry,
                    Finding(
                        "sides_are_not_near_duplicates",
                        f"{percent(share, places=0)} of the 5-word runs are shared",
                    ),
                )


def side_similarity(first: NDArray[np.uint32], second: NDArray[np.uint32]) -> float:
    """Jaccard index of the sets of 5-word runs of two texts; 0 where one has fewer words."""
    runs = [np.unique(run_hashes(words, N_WORDS_PER_RUN)) for words in (first, second)]
    return jaccard(runs[0], runs[1])


def _count(numbers: NDArray[np.int64]) -> int:
    return len(np.unique(numbers[numbers >= 0]))
