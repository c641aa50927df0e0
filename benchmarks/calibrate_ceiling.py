"""`python -m benchmarks.calibrate_ceiling`: does the true ceiling lie in the stated range?

Simulates corpora of editors whose items are all alike, or a mix of clear ones and coin tosses, for each kind
of label: one vote with some pairs judged twice, the majority of three, two votes with splits set aside, and a
mix. Every corpus goes through the pipeline's own code. Writes benchmarks/results/calibrate_ceiling.json and
its table in docs/statistics.md.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom
from threadpoolctl import threadpool_limits

from benchmarks.calibrate_capability import replace_table
from stages.data.votes import Votes
from stages.files.io import read_text, write_json, write_text
from stages.measures.agreement import compare_votes, measure_agreement
from stages.measures.ceiling import tell_ceiling
from stages.run.progress import track

N_CORPORA = 2000
N_ITEMS = 300  # that were judged by several
RESULTS = Path("benchmarks/results/calibrate_ceiling.json")
DOCUMENT = Path("docs/statistics.md")
MARKS = ("<!-- calibrate_ceiling: start -->\n", "<!-- calibrate_ceiling: end -->")
AGREEMENTS = (0.73,)
# Votes a label -> labels of a corpus; `one vote` has 300 of its pairs judged a second time for the agreement.
KINDS: dict[str, dict[int, int]] = {
    "one vote": {1: 2500},
    "majority of three": {3: N_ITEMS},
    "two votes, splits set aside": {2: N_ITEMS},
    "a mix of one, two and three votes": {1: 150, 2: 150, 3: 150},
}
TRUTHS = ("all items alike", "clear items and coin tosses")


class Scenario(NamedTuple):
    """A true state of the world."""

    kind: str
    truth: str
    agreement: float


class Coverage(NamedTuple):
    """Shares of the corpora in which the interval held the agreement, and the range the ceiling."""

    agreement: float
    ceiling: float


def difficulties(scenario: Scenario) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Chances that an editor sides with the majority, and the share of items that have each."""
    clear = 2 * scenario.agreement - 1
    if scenario.truth == TRUTHS[0]:
        return np.array([(1 + np.sqrt(clear)) / 2]), np.array([1.0])
    return np.array([1.0, 0.5]), np.array([clear, 1 - clear])


def true_ceiling(scenario: Scenario) -> float:
    """Share of the labels that somebody who knows every item's majority matches, by the definition."""
    p, weight = difficulties(scenario)
    right = decided = 0.0
    for n, items in KINDS[scenario.kind].items():
        right += items * float(weight @ binom.sf(n // 2, n, p))
        decided += items * float(weight @ (1 - binom.pmf(n / 2, n, p)))
    return right / decided


def draw_corpus(scenario: Scenario, random: np.random.Generator) -> tuple[Votes, dict[int, int]]:
    """The votes from which agreement is measured, and how many labels were made by how many votes."""
    p, weight = difficulties(scenario)
    item, editor, side, labels, start = [], [], [], dict[int, int](), 0
    for n, n_items in KINDS[scenario.kind].items():
        n_votes, n_judged = (2, N_ITEMS) if scenario.kind == "one vote" else (n, n_items)
        chance = random.choice(p, size=n_judged, p=weight)
        votes = np.where(random.random((n_judged, n_votes)) < chance[:, None], 1, -1)
        item.append(start + np.repeat(np.arange(n_judged), n_votes))
        editor.append(np.tile(np.arange(n_votes), n_judged))
        side.append(votes.ravel())
        labels[n] = n_items if n == 1 else int((votes.sum(axis=1) != 0).sum())
        start += n_judged
    columns = [np.concatenate(column) for column in (item, editor, side)]
    return Votes(*columns, np.zeros(len(columns[0]), dtype=np.int64)), labels


def calibrate(scenario: Scenario, n_corpora: int = N_CORPORA) -> Coverage:
    """How often interval and range hold the truth."""
    random = np.random.default_rng(
        [int(1000 * scenario.agreement), *map(ord, scenario.kind + scenario.truth)]
    )
    truth, held = true_ceiling(scenario), []
    for _ in range(n_corpora):
        votes, labels = draw_corpus(scenario, random)
        agreement = measure_agreement(compare_votes(votes), np.arange(votes.item.max() + 1))
        found = tell_ceiling(agreement, labels)
        held.append(
            (
                float(agreement["low"]) <= scenario.agreement <= float(agreement["high"]),
                found["status"] == "known" and float(found["lowest"]) <= truth <= float(found["highest"]),
            )
        )
    return Coverage(*np.mean(held, axis=0).tolist())


def table_lines(found: dict[Scenario, Coverage]) -> list[str]:
    """A row per kind of label and truth: coverage at each agreement."""
    lines = [
        f"Share of {N_CORPORA:,} simulated corpora whose range held the true ceiling (and their interval "
        "the agreement); `make calibrate` writes this table.\n",
        f"| label | editors | {' | '.join(f'A = {one}' for one in AGREEMENTS)} |",
        f"|---|---|{'---|' * len(AGREEMENTS)}",
    ]
    for kind in KINDS:
        for truth in TRUTHS:
            shares = [found[Scenario(kind, truth, one)] for one in AGREEMENTS]
            cells = " | ".join(f"{one.ceiling:.1%} ({one.agreement:.1%})" for one in shares)
            lines.append(f"| {kind} | {truth} | {cells} |")
    return lines


def main() -> None:
    """Simulate every scenario."""
    scenarios = [Scenario(kind, truth, one) for kind in KINDS for truth in TRUTHS for one in AGREEMENTS]
    with threadpool_limits(1):
        progress = track(scenarios, total=len(scenarios), label="calibrate ceiling", unit="scenarios")
        found = {one: calibrate(one) for one in progress}
    rows = [
        {**one._asdict(), "interval_held": cover.agreement, "range_held": cover.ceiling}
        for one, cover in found.items()
    ]
    write_json(RESULTS, {"n_corpora": N_CORPORA, "n_items": N_ITEMS, "scenarios": rows})
    document = replace_table(read_text(DOCUMENT), "\n".join(table_lines(found)) + "\n", marks=MARKS)
    write_text(DOCUMENT, document)
    print("\n".join(table_lines(found)))


if __name__ == "__main__":
    main()
