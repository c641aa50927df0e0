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
from stages.data.pair_index import PairIndex, first_alike
from stages.data.texts import run_hashes

Numbers = NDArray[np.int64]


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
Found = tuple[int, Finding]  # the entry of the index, and what was found


class Compared(NamedTuple):
    """Findings per entry, and how many conflicts and circles they come from."""

    findings: list[Found]
    n_conflicts: int
    n_circles: int


def compare_rows(index: PairIndex, near: Sequence[NearDuplicate], *, similarity: float) -> Compared:
    """All findings that need more than one row; `near` are the near-duplicate texts."""
    clusters = cluster_texts(len(index.texts), near)
    contradictions = find_contradictions(index.column("chosen"), index.column("rejected"))
    findings = [
        *_repeated_ids(index),
        *_repeated_rows(index),
        *_numbered(
            contradictions.conflict, index, "labels_do_not_conflict", "the opposite preference stands on"
        ),
        *_numbered(
            contradictions.circle, index, "labels_have_no_cycle", "the preferences run in a circle with"
        ),
        *_recurring_texts(index, clusters),
        *_close_sides(index, clusters, similarity=similarity),
    ]
    return Compared(findings, _count(contradictions.conflict), _count(contradictions.circle))


def _repeated_ids(index: PairIndex) -> Iterator[Found]:
    """Every row with an id that another has: nobody can tell which of them is meant."""
    lines, ids = index.column("line"), index.column("id")
    entries = np.arange(len(ids))
    first, last = first_alike(ids, entries), first_alike(ids, entries[::-1])
    for entry in np.flatnonzero(first != last).tolist():
        other = last[entry] if first[entry] == entry else first[entry]
        yield entry, Finding("pair_ids_are_unique", f"line {lines[other]} has the same id")


def _repeated_rows(index: PairIndex) -> Iterator[Found]:
    """All rows of the same texts but one, which is chosen by what it holds: the order of rows is chance."""
    lines, n_texts = index.column("line"), len(index.texts)
    both = index.column("chosen") * n_texts + index.column("rejected")
    kept = first_alike(both, np.lexsort((index.column("id_key"), index.column("content"))))
    for entry in np.flatnonzero(kept != np.arange(len(kept))).tolist():
        yield (
            entry,
            Finding("rows_are_unique", f"line {lines[kept[entry]]} holds the same texts, judged the same"),
        )


def _numbered(numbers: NDArray[np.int64], index: PairIndex, rule: str, what: str) -> Iterator[Found]:
    """One finding per entry with a number, naming other lines of the same number."""
    lines, chosen = index.column("line").tolist(), index.column("chosen").tolist()
    members: dict[int, list[int]] = defaultdict(list)
    for entry in np.flatnonzero(numbers >= 0).tolist():
        members[int(numbers[entry])].append(entry)
    for entries in members.values():
        candidates = first_of_each(entries, chosen)
        for entry in entries:
            others = [lines[other] for other in candidates if chosen[other] != chosen[entry]]
            named = ", ".join(str(line) for line in others[:N_LINES_NAMED])
            more = " …" if len(others) > N_LINES_NAMED else ""
            yield entry, Finding(rule, f"{what} line {named}{more}")


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


def _recurring_texts(index: PairIndex, clusters: NDArray[np.int64]) -> Iterator[Found]:
    lines, first, second = (index.column(name) for name in ("line", "chosen", "rejected"))
    if not len(lines):
        return
    first, second = clusters[first], clusters[second]
    other = np.flatnonzero(first != second)  # where they are equal, a pair's own two texts do not recur in it
    entries = np.concatenate([np.arange(len(lines)), other])
    cluster = np.concatenate([first, second[other]])
    order = np.lexsort((entries, cluster))
    found: dict[int, int] = {}
    for members in np.split(entries[order], np.flatnonzero(np.diff(cluster[order])) + 1):
        for entry in members.tolist() if len(members) > 1 else ():
            found.setdefault(entry, int(members[1] if entry == members[0] else members[0]))
    for entry, recurs in sorted(found.items()):
        yield entry, Finding("pairs_are_not_near_duplicates", f"a text recurs on line {lines[recurs]}")


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
                    Finding("sides_are_not_near_duplicates", f"{share:.0%} of the 5-word runs are shared"),
                )


def side_similarity(first: NDArray[np.uint32], second: NDArray[np.uint32]) -> float:
    """Jaccard index of the sets of 5-word runs of two texts; 0 where one has fewer words."""
    runs = [np.unique(run_hashes(words, N_WORDS_PER_RUN)) for words in (first, second)]
    return jaccard(runs[0], runs[1])


def _count(numbers: NDArray[np.int64]) -> int:
    return len(np.unique(numbers[numbers >= 0]))
