"""`python -m benchmarks.calibrate_curve`: does the range of the average doubling hold?

Simulates selection results of runs whose true curves are known, with pairs that belong together and runs
that are lucky. Counts how often the range holds the true average over those sizes, and lies above 0. Writes
benchmarks/results/calibrate_curve.json and the table in docs/statistics.md.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from benchmarks.calibrate_capability import replace_table
from stages.files.io import read_text, write_json, write_text
from stages.measures.curve import Runs, average_doubling, slope_weights
from stages.run.progress import track

N_CURVES = 2000
LARGEST = 4  # pairs of a component: 1 to so many
SHARED, OF_COMPONENT, OF_SIZE = (
    0.6,
    0.15,
    0.15,
)  # of a latent normal
RESULTS = Path("benchmarks/results/calibrate_curve.json")
DOCUMENT = Path("docs/statistics.md")
MARKS = ("<!-- calibrate_curve: start -->\n", "<!-- calibrate_curve: end -->")


class Scenario(NamedTuple):
    """True accuracies at sizes that double, and how it was measured."""

    shape: str
    accuracies: tuple[float, ...]
    n_seeds: int
    luck: float  # standard deviation of a run's true accuracy
    n_selection: int = 200


class Coverage(NamedTuple):
    """Shares of the curves: the range holds the true average, it lies above 0; and its mean width."""

    holds: float
    says_help: float
    width: float


SHAPES = {
    "flat": (0.64, 0.64, 0.64),
    "rising": (0.58, 0.62, 0.66),
    "saturating": (0.55, 0.62, 0.645, 0.65),
}
SCENARIOS = [
    Scenario(shape, accuracies, n_seeds, luck)
    for shape, accuracies in SHAPES.items()
    for n_seeds in (2, 3)
    for luck in (0.01, 0.02)
]


def main() -> None:
    """Simulate every scenario and write what came out."""
    rows = [
        (one, calibrate(one, n_curves=N_CURVES, seed=seed))
        for seed, one in enumerate(
            track(SCENARIOS, total=len(SCENARIOS), label="calibrate", unit="scenarios")
        )
    ]
    scenarios = [one._asdict() | found._asdict() for one, found in rows]
    write_json(RESULTS, {"n_curves": N_CURVES, "scenarios": scenarios})
    write_text(DOCUMENT, replace_table(read_text(DOCUMENT), format_table(rows), marks=MARKS))


def calibrate(scenario: Scenario, *, n_curves: int, seed: int) -> Coverage:
    """Measure so many curves; the truth is the slope of the true accuracies."""
    draws = np.random.default_rng(seed)
    counted = np.zeros(3)
    for _ in range(n_curves):
        runs, components = simulate_runs(scenario, draws)
        truth = float(slope_weights(runs) @ np.array(scenario.accuracies))
        gain = average_doubling(runs, components)
        if gain.low is None or gain.high is None:
            raise ValueError("one component has no range to count")
        counted += (gain.low <= truth <= gain.high, gain.is_above_zero, gain.high - gain.low)
    return Coverage(*(float(share) for share in counted / n_curves))


def simulate_runs(scenario: Scenario, draws: np.random.Generator) -> tuple[list[Runs], np.ndarray]:
    """Runs at 500, 1,000, ... pairs: a pair's ease has parts of its own, its component's and each size's."""
    n, n_seeds = scenario.n_selection, scenario.n_seeds
    components = np.repeat(np.arange(n), draws.integers(1, LARGEST + 1, size=n))[:n]
    ease = np.sqrt(OF_COMPONENT) * draws.normal(size=n)[components]
    ease = ease + np.sqrt(SHARED) * draws.normal(size=n)
    own = np.sqrt(1 - SHARED - OF_COMPONENT - OF_SIZE)
    runs = []
    for number, accuracy in enumerate(scenario.accuracies):
        lucky = norm.ppf(np.clip(accuracy + scenario.luck * draws.normal(size=n_seeds), 0.01, 0.99))
        latent = ease + np.sqrt(OF_SIZE) * draws.normal(size=n) + own * draws.normal(size=(n_seeds, n))
        right = (latent < lucky[:, None]).astype(float)
        runs.append(Runs(500 * 2**number, right, np.zeros_like(right)))
    return runs, components


def format_table(rows: list[tuple[Scenario, Coverage]]) -> str:
    """One Markdown row a scenario."""
    lines = [
        "| true curve | sizes | seeds a size | luck of a run | range holds | lies above 0 | mean width |",
        "|---|" + "---:|" * 6,
    ]
    for one, found in rows:
        lines.append(
            f"| {one.shape} | {len(one.accuracies)} | {one.n_seeds} | {one.luck * 100:.0f} points "
            f"| {found.holds:.1%} | {found.says_help:.1%} | {found.width * 100:.1f} points |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
