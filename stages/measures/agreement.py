"""How often two editors who judged the same two texts say the same, and what a model can reach of it.

Definitions: docs/statistics.md. A vote that was asked for because a pair looked doubtful (`suspect`) counts
neither here nor there: such pairs are the hard ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.data.checking import LabelFindings
from stages.data.pair_index import SOURCES, UNKNOWN
from stages.data.votes import Judged, Votes
from stages.files.numbers import percent
from stages.measures.alpha import ordinal_alpha
from stages.measures.ceiling import tell_ceiling

MIN_COMPONENTS = 10  # fewer that were judged twice give no interval worth the name

Numbers = dict[str, float | int | str]


class Comparisons(NamedTuple):
    """One value per two votes of different editors on one item: who, on what, and whether they say the same.

    `is_decided`: neither of the two is a tie.
    """

    item: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    is_same: NDArray[np.bool_]
    is_decided: NDArray[np.bool_]

    def of(self, flags: NDArray[np.bool_]) -> "Comparisons":
        """Those that are flagged."""
        return Comparisons(
            self.item[flags],
            self.first[flags],
            self.second[flags],
            self.is_same[flags],
            self.is_decided[flags],
        )


def compare_votes(votes: Votes) -> Comparisons:
    """Every two votes on one item, of two known editors, but for those that were asked for by doubt."""
    counts = (votes.editor != UNKNOWN) & (votes.source != SOURCES["suspect"])
    item, editor, side = (column[counts] for column in votes[:3])
    order = np.lexsort((editor, item))
    item, editor, side = item[order], editor[order], side[order]
    # of an item's votes, which lie side by side, every two are some places apart
    apart = range(1, int(np.bincount(item).max(initial=0)))
    firsts = [np.flatnonzero(item[:-gap] == item[gap:]) for gap in apart]
    one = np.concatenate([np.empty(0, dtype=np.int64), *firsts])
    other = np.concatenate([one[:0], *(first + gap for first, gap in zip(firsts, apart, strict=True))])
    return Comparisons(
        item[one], editor[one], editor[other], side[one] == side[other], (side[one] != 0) & (side[other] != 0)
    )


def find_in_labels(judged: Judged, agreement_above: float) -> LabelFindings:
    """Numbers, the table by editor and section, and a remark on agreement that is not above the limit."""
    numbers, remarks = describe_labels(judged), list[str]()
    share = numbers["agreement"].get("share")
    if isinstance(share, float) and share < agreement_above:
        remarks = [
            f"Editors who judged the same texts agree in {percent(share, places=0)} of cases.{_most(numbers)}"
        ]
    return LabelFindings(numbers, list(agreement_table(judged)), remarks)


def _most(numbers: Mapping[str, Numbers]) -> str:
    """What so little agreement leaves for a model to reach; a label of several votes is better than one."""
    highest = numbers["ceiling"].get("highest")
    if not isinstance(highest, float):
        return " How far a model can follow them is unknown."
    return f" Even a perfect reader would match at most {percent(highest, places=0)} of the labels."


def describe_labels(judged: Judged) -> dict[str, Numbers]:
    """`agreement` and `ceiling` of metrics/validate.json; what was not measured is left out."""
    votes, compared = judged.votes, compare_votes(judged.votes)
    of_kept = judged.kept[votes.item] & (votes.side != 0)
    n_votes = np.bincount(votes.item[of_kept], minlength=len(judged.kept))[judged.kept]
    counted = {int(n): int(count) for n, count in zip(*np.unique(n_votes, return_counts=True), strict=True)}
    agreement = measure_agreement(compared, judged.component)
    if judged.n_repeated:
        agreement |= {"n_repeated": judged.n_repeated, "consistency": judged.n_same / judged.n_repeated}
    if agreement.get("n_items"):
        agreement |= _alpha(votes)
    return {"agreement": agreement, "ceiling": tell_ceiling(agreement, counted)}


def measure_agreement(compared: Comparisons, component: NDArray[np.int64]) -> Numbers:
    """Share of agreeing comparisons, also of those without a tie; intervals clustered by component."""
    n = len(compared.item)
    found: Numbers = {"n_items": len(np.unique(compared.item)), "n_comparisons": n}
    for prefix, some in (("", compared), ("decided_", compared.of(compared.is_decided))):
        if not len(some.item):
            continue
        found[f"{prefix}share"] = float(some.is_same.mean())
        clusters = component[some.item]
        if len(np.unique(clusters)) >= MIN_COMPONENTS:
            from stages.measures.intervals import clustered_wilson  # statsmodels takes a second to load

            interval = clustered_wilson(some.is_same.astype(float), clusters)
            found |= {f"{prefix}low": interval.low, f"{prefix}high": interval.high} if interval else {}
    return found


def _alpha(votes: Votes) -> dict[str, float]:
    """Krippendorff's alpha over the items; each is taken both ways round, since neither text is the first."""
    counts = (votes.editor != UNKNOWN) & (votes.source != SOURCES["suspect"])
    items, row = np.unique(votes.item[counts], return_inverse=True)
    editors, column = np.unique(votes.editor[counts], return_inverse=True)
    table = np.full((len(items), len(editors)), np.nan)
    table[row, column] = votes.side[counts]
    alpha = ordinal_alpha(np.concatenate([table, -table]))
    return {} if np.isnan(alpha) else {"alpha": alpha}


class AgreementRow(NamedTuple):
    """Agreement of one editor with all others, or within one section."""

    kind: str
    name: str
    n_comparisons: int
    share: float
    low: float | None
    high: float | None


def agreement_table(judged: Judged) -> Iterator[AgreementRow]:
    """By editor, then by section, names in order."""
    compared = compare_votes(judged.votes)
    editors: Sequence[tuple[str, int]] = sorted((name, n) for n, name in enumerate(judged.editors))
    sections = sorted((name, n) for n, name in enumerate(judged.sections))
    groups = [("editor", name, (compared.first == n) | (compared.second == n)) for name, n in editors]
    groups += [("section", name, judged.section[compared.item] == n) for name, n in sections]
    for kind, name, flags in groups:
        found = measure_agreement(compared.of(flags), judged.component)
        if "share" in found:
            low, high = (found.get(end) for end in ("low", "high"))
            yield AgreementRow(
                kind, name, int(found["n_comparisons"]), float(found["share"]),
                None if low is None else float(low), None if high is None else float(high),
            )  # fmt: skip
