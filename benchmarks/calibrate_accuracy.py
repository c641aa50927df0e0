"""`python -m benchmarks.calibrate_accuracy`: is the held-out interval what it says, with grouped pairs?

Simulates held-out sets whose true accuracy and likeness within a group are known, measures each with
the pipeline's own code, and counts how often the interval holds the truth and which state the gate
gives. Writes benchmarks/results/calibrate_accuracy.json and its table in docs/statistics.md.
"""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.calibrate_capability import replace_table
from stages.decision.data_facts import DataFacts
from stages.decision.evidence import AccuracyEvidence
from stages.decision.findings import ShareLimits, State, exact_share_limits
from stages.decision.judge import judge_accuracy
from stages.files.io import read_text, write_json, write_text
from stages.measures.intervals import clustered_wilson, wilson_interval
from stages.run.params import load_params
from stages.run.progress import track

N_SETS = 2000
RESULTS = Path("benchmarks/results/calibrate_accuracy.json")
DOCUMENT = Path("docs/statistics.md")
MARKS = ("<!-- calibrate_accuracy: start -->\n", "<!-- calibrate_accuracy: end -->")
STATES: tuple[State, ...] = ("fail", "inconclusive", "pass", "confirmed")
LONGER_WINS = 0.55
NAMES = np.array([f"c{number:04}" for number in range(1000)])


class Scenario(NamedTuple):
    """A true state of the world. `likeness` is the correlation of two pairs of one group, in [0, 1)."""

    n: int
    group_size: int
    accuracy: float
    likeness: float


class Calibration(NamedTuple):
    """How often each interval held the true accuracy, and each state came out, as shares of the sets."""

    holds: float
    below: float  # the truth lay below the interval
    above: float
    plain_holds: float  # Wilson's interval that knows no groups
    states: dict[State, float]


SCENARIOS = [
    *(Scenario(300, 1, accuracy, 0.0) for accuracy in (0.55, 0.60, 0.68, 0.75, 0.80)),
    *(Scenario(300, 3, accuracy, 0.3) for accuracy in (0.55, 0.60, 0.68, 0.75, 0.80)),
    *(Scenario(300, size, 0.68, likeness) for size, likeness in ((3, 0.0), (3, 0.6), (10, 0.2), (30, 0.1))),
    *(Scenario(n, 1, 0.68, 0.0) for n in (40, 60)),
    Scenario(60, 3, 0.68, 0.3),
]


def main() -> None:
    """Simulate every scenario and write what came out."""
    limits = exact_share_limits(load_params().limits.accuracy)
    rows = []
    with threadpool_limits(1):
        for seed, one in enumerate(
            track(SCENARIOS, total=len(SCENARIOS), label="calibrate accuracy", unit="scenarios")
        ):
            rows.append((one, calibrate(one, limits, n_sets=N_SETS, seed=seed)))
    write_json(
        RESULTS, {"n_sets": N_SETS, "scenarios": [one._asdict() | found._asdict() for one, found in rows]}
    )
    write_text(DOCUMENT, replace_table(read_text(DOCUMENT), format_table(rows), marks=MARKS))


def calibrate(scenario: Scenario, limits: ShareLimits, *, n_sets: int, seed: int) -> Calibration:
    """Measure and judge `n_sets` simulated held-out sets."""
    groups = np.arange(scenario.n) // scenario.group_size
    names = NAMES[groups].tolist()
    facts = DataFacts((), (), is_synthetic=False, split_sha256="", n_holdout=scenario.n, study_id=None)
    draws = np.random.default_rng(seed)
    states: Counter[State] = Counter()
    outcomes: Counter[str] = Counter()
    for _ in range(n_sets):
        wins = simulate_wins(scenario, groups, draws)
        k = int(wins.sum())
        low, high = clustered_wilson(wins.astype(float).tolist(), names)
        plain = wilson_interval(k, scenario.n)
        outcomes["below"] += scenario.accuracy < low
        outcomes["above"] += scenario.accuracy > high
        outcomes["plain"] += plain.low <= scenario.accuracy <= plain.high
        evidence = AccuracyEvidence(
            k=k, n=scenario.n, low=low, high=high, longer_wins=LONGER_WINS, n_synthetic=0, split_sha256=""
        )
        states[judge_accuracy(evidence, facts, limits=limits).state] += 1
    below, above = outcomes["below"] / n_sets, outcomes["above"] / n_sets
    return Calibration(
        holds=1 - below - above,
        below=below,
        above=above,
        plain_holds=outcomes["plain"] / n_sets,
        states={state: n / n_sets for state, n in sorted(states.items())},
    )


def simulate_wins(
    scenario: Scenario, groups: NDArray[np.int_], draws: np.random.Generator
) -> NDArray[np.bool_]:
    """Right or wrong, pairs of a group sharing a rate from a beta distribution.

    With parameters p (1 - r) / r and (1 - p) (1 - r) / r the mean is p and any two correlate by r.
    """
    rates = np.full(int(groups.max()) + 1, scenario.accuracy)
    if scenario.likeness > 0:
        weight = (1 - scenario.likeness) / scenario.likeness
        rates = draws.beta(scenario.accuracy * weight, (1 - scenario.accuracy) * weight, size=len(rates))
    wins: NDArray[np.bool_] = draws.random(scenario.n) < rates[groups]
    return wins


def format_table(rows: list[tuple[Scenario, Calibration]]) -> str:
    """One Markdown row a scenario; percentages."""
    lines = [
        "| pairs | pairs a group | likeness in a group | true accuracy | interval holds | truth below it "
        "| truth above it | plain Wilson holds | fail | inconclusive | pass | confirmed |",
        "|" + "---:|" * 12,
    ]
    for one, found in rows:
        states = (found.states.get(state, 0.0) for state in STATES)
        shares = (found.holds, found.below, found.above, found.plain_holds, *states)
        cells = [str(one.n), str(one.group_size), f"{one.likeness:.1f}", f"{one.accuracy:.0%}"]
        lines.append("| " + " | ".join([*cells, *(f"{share:.1%}" for share in shares)]) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
