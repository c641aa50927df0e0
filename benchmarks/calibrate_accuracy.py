"""`python -m benchmarks.calibrate_accuracy`: is the held-out interval what it says, with grouped pairs?

Simulates held-out sets whose true accuracy and likeness within a group are known, with groups of equal
and of uneven sizes, and counts how often the interval holds the truth and which state the gate gives. All
sets of a row are measured at once; tests hold that to the pipeline's own code. Writes
benchmarks/results/calibrate_accuracy.json and its two tables in docs/statistics.md.
"""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from threadpoolctl import threadpool_limits

from benchmarks.calibrate_capability import replace_table
from stages.decision.findings import ShareLimits, State, exact_share_limits
from stages.files.io import read_text, write_json, write_text
from stages.measures.intervals import ROUNDING, estimate_likeness, estimated_degrees_of_freedom
from stages.run.params import load_params
from stages.run.progress import track

N_SETS = 3000
RESULTS = Path("benchmarks/results/calibrate_accuracy.json")
DOCUMENT = Path("docs/statistics.md")
MARKS = ("<!-- calibrate_accuracy: start -->\n", "<!-- calibrate_accuracy: end -->")
UNEVEN_MARKS = ("<!-- calibrate_uneven: start -->\n", "<!-- calibrate_uneven: end -->")
STATES: tuple[State, ...] = ("fail", "inconclusive", "pass", "confirmed")
LONGER_WINS = 0.55
Z = float(stats.norm.ppf(0.975))

Floats = NDArray[np.float64]


class Scenario(NamedTuple):
    """A true state of the world: pairs in each group, and the correlation of two of one group, in [0, 1)."""

    sizes: tuple[int, ...]
    accuracy: float
    likeness: float

    @property
    def n(self) -> int:
        """Pairs."""
        return sum(self.sizes)

    @property
    def effective_groups(self) -> float:
        """1 / sum of the groups' squared shares: as many as there are where all are equal."""
        return self.n**2 / sum(size**2 for size in self.sizes)


class Calibration(NamedTuple):
    """How often each interval held the true accuracy, and each state came out, as shares of the sets."""

    holds: float
    below: float  # the truth lay below the interval
    above: float
    plain_holds: float  # Wilson's interval that knows no groups
    states: dict[State, float]


def evenly(n: int, size: int) -> tuple[int, ...]:
    """`n` pairs in groups of `size`."""
    return (size,) * (n // size)


SCENARIOS = [
    *(Scenario(evenly(300, 1), accuracy, 0.0) for accuracy in (0.55, 0.60, 0.68, 0.75, 0.80)),
    *(Scenario(evenly(300, 3), accuracy, 0.3) for accuracy in (0.55, 0.60, 0.68, 0.75, 0.80)),
    *(
        Scenario(evenly(300, size), 0.68, likeness)
        for size, likeness in ((3, 0.0), (3, 0.6), (10, 0.2), (30, 0.1))
    ),
    *(Scenario(evenly(n, 1), 0.68, 0.0) for n in (40, 60)),
    Scenario(evenly(60, 3), 0.68, 0.3),
]
UNEVEN_SIZES = (
    (60, 30, 20, *evenly(190, 2)),
    (30, 30, 30, 30, 30, *evenly(150, 1)),
    (40, 40, 40, *evenly(80, 20), *evenly(100, 10)),
    (66, 42, 34, 16, 12, 11, 10, 9, 8, 7, 6, 5, 5, 4, 4, 3, 3, *evenly(30, 2), *evenly(25, 1)),
    (60, 50, 40, 30, 30, 25, 20, 15, 10, 10, 5, 5),
    (100, 50, *evenly(150, 1)),
    (75, 75, 50, 50, 50),
    (150, *evenly(150, 1)),
    (200, 50, 50),
)
UNEVEN = [Scenario(sizes, 0.68, likeness) for sizes in UNEVEN_SIZES for likeness in (0.0, 0.1, 0.3)]


def main() -> None:
    """Simulate every scenario and write what came out."""
    limits = exact_share_limits(load_params().limits.accuracy)
    scenarios, rows = [*SCENARIOS, *UNEVEN], []
    with threadpool_limits(1):
        for seed, one in enumerate(
            track(scenarios, total=len(scenarios), label="calibrate accuracy", unit="scenarios")
        ):
            rows.append((one, calibrate(one, limits, n_sets=N_SETS, seed=seed)))
    write_json(
        RESULTS,
        {
            "n_sets": N_SETS,
            "scenarios": [
                one._asdict()
                | {"sizes": describe_sizes(one.sizes), "effective_groups": one.effective_groups}
                | found._asdict()
                for one, found in rows
            ],
        },
    )
    document = replace_table(read_text(DOCUMENT), format_table(rows[: len(SCENARIOS)]), marks=MARKS)
    write_text(DOCUMENT, replace_table(document, format_table(rows[len(SCENARIOS) :]), marks=UNEVEN_MARKS))


def calibrate(scenario: Scenario, limits: ShareLimits, *, n_sets: int, seed: int) -> Calibration:
    """Measure and judge `n_sets` simulated held-out sets."""
    wins = simulate_wins(scenario, np.random.default_rng(seed), n_sets=n_sets)
    low, high = bounds_of(wins, scenario.sizes)
    k, n = wins.sum(axis=1), scenario.n
    plain_low, plain_high = wilson_bounds(k / n, np.full(n_sets, float(n)))
    bar = max(float(limits.chance), LONGER_WINS)
    is_met = np.array([int(one) > limits.min_share * n for one in k])
    target = float(limits.min_share)
    states: dict[State, NDArray[np.bool_]] = {"fail": high < target}
    states["confirmed"] = ~states["fail"] & is_met & (low > max(bar, target))
    states["pass"] = ~states["fail"] & ~states["confirmed"] & is_met & (low > bar)
    states["inconclusive"] = ~np.any([*states.values()], axis=0)
    below, above = float((scenario.accuracy < low).mean()), float((scenario.accuracy > high).mean())
    return Calibration(
        holds=1 - below - above,
        below=below,
        above=above,
        plain_holds=float(((plain_low <= scenario.accuracy) & (scenario.accuracy <= plain_high)).mean()),
        states={state: float(states[state].mean()) for state in STATES if states[state].any()},
    )


def simulate_wins(scenario: Scenario, draws: np.random.Generator, *, n_sets: int) -> NDArray[np.bool_]:
    """Right or wrong, [n_sets, n_pairs], pairs of a group sharing a rate from a beta distribution.

    With parameters p (1 - r) / r and (1 - p) (1 - r) / r the mean is p and any two correlate by r.
    """
    rates = np.full((n_sets, len(scenario.sizes)), scenario.accuracy)
    if scenario.likeness > 0:
        weight = (1 - scenario.likeness) / scenario.likeness
        rates = draws.beta(scenario.accuracy * weight, (1 - scenario.accuracy) * weight, size=rates.shape)
    wins: NDArray[np.bool_] = draws.random((n_sets, scenario.n)) < np.repeat(rates, scenario.sizes, axis=1)
    return wins


def bounds_of(wins: NDArray[np.bool_], sizes: Sequence[int]) -> tuple[Floats, Floats]:
    """`clustered_wilson` of every set at once; a test holds the two together."""
    n = wins.shape[1]
    share = wins.mean(axis=1)
    if max(sizes) == 1:
        return wilson_bounds(share, np.full(len(wins), float(n)))
    starts = np.cumsum([0, *sizes[:-1]])
    sums = np.add.reduceat(wins.astype(float), starts, axis=1) - share[:, None] * np.asarray(sizes)
    variance = (sums**2 / (1 - np.asarray(sizes) / n)).sum(axis=1) / n**2
    is_flat = variance < ROUNDING
    size = share * (1 - share) / np.where(is_flat, 1.0, variance)
    size = np.where(is_flat, n**2 / np.sum(np.square(sizes)), size)
    likeness = estimate_likeness(variance, share * (1 - share), sizes)
    size *= (Z / stats.t.ppf(0.975, estimated_degrees_of_freedom(sizes, likeness))) ** 2
    return wilson_bounds(share, size)


def wilson_bounds(share: Floats, size: Floats) -> tuple[Floats, Floats]:
    """Wilson's 95 % interval of many shares."""
    centre = (share + Z**2 / (2 * size)) / (1 + Z**2 / size)
    half = Z / (1 + Z**2 / size) * np.sqrt(share * (1 - share) / size + (Z / (2 * size)) ** 2)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def format_table(rows: list[tuple[Scenario, Calibration]]) -> str:
    """One Markdown row a scenario; percentages."""
    lines = [
        "| pairs | group sizes | effective groups | likeness in a group | true accuracy | interval holds "
        "| truth below it | truth above it | plain Wilson holds | fail | inconclusive | pass | confirmed |",
        "|---:|:---|" + "---:|" * 11,
    ]
    for one, found in rows:
        states = (found.states.get(state, 0.0) for state in STATES)
        shares = (found.holds, found.below, found.above, found.plain_holds, *states)
        sizes, n_effective = describe_sizes(one.sizes), f"{one.effective_groups:.1f}"
        cells = [str(one.n), sizes, n_effective, f"{one.likeness:.1f}", f"{one.accuracy:.0%}"]
        lines.append("| " + " | ".join([*cells, *(f"{share:.1%}" for share in shares)]) + " |")
    return "\n".join(lines) + "\n"


def describe_sizes(sizes: Sequence[int]) -> str:
    """`100, 50, 150 x 1`: equal sizes are counted."""
    runs = [(size, len(list(equal))) for size, equal in groupby(sizes)]
    return ", ".join(str(size) if n == 1 else f"{n} x {size}" for size, n in runs)


if __name__ == "__main__":
    main()
