"""`python -m benchmarks.calibrate_choice`: does the interval of the best of many variants hold?

Simulates variants that are scored on the same 300 held-out pairs, picks the one with the most
right, and counts how often its interval holds its true accuracy: the plain one, and the one
corrected for the looks. Writes benchmarks/results/calibrate_choice.json and the table in
docs/statistics.md.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from benchmarks.calibrate_capability import replace_table
from stages.files.io import read_text, write_json, write_text
from stages.run.progress import track
from stages.variants.variants import interval_after_choosing

N_STUDIES = 4000
N_PAIRS = 300
RESULTS = Path("benchmarks/results/calibrate_choice.json")
DOCUMENT = Path("docs/statistics.md")
MARKS = ("<!-- calibrate_choice: start -->\n", "<!-- calibrate_choice: end -->")


class Scenario(NamedTuple):
    """Variants, how alike they are, and how the pairs belong together."""

    n_looks: int
    accuracy: float  # true, of every variant: where all are alike, choosing gains nothing
    correlation: float  # of two variants' answers to one pair, on the scale of a latent normal
    pairs_a_group: int  # pairs of one group stand or fall together, with the same correlation of 0.3


class Coverage(NamedTuple):
    """Shares of the studies in which an interval of the chosen variant held its true accuracy."""

    plain: float
    corrected: float
    corrected_low: float  # the end that matters: the truth is not below it
    median_width: float


SCENARIOS = [
    *(Scenario(n_looks, 0.68, 0.0, 1) for n_looks in (1, 5, 20, 100)),
    *(Scenario(20, 0.68, correlation, 1) for correlation in (0.5, 0.9)),
    *(Scenario(n_looks, 0.68, 0.5, 3) for n_looks in (1, 20)),
    *(Scenario(20, accuracy, 0.5, 1) for accuracy in (0.5, 0.9)),
]
WITHIN_GROUP = 0.3


def main() -> None:
    """Simulate every scenario and write what came out."""
    rows = [
        (one, calibrate(one, n_studies=N_STUDIES, seed=seed))
        for seed, one in enumerate(
            track(SCENARIOS, total=len(SCENARIOS), label="calibrate", unit="scenarios")
        )
    ]
    scenarios = [one._asdict() | found._asdict() for one, found in rows]
    write_json(RESULTS, {"n_studies": N_STUDIES, "n_pairs": N_PAIRS, "scenarios": scenarios})
    write_text(DOCUMENT, replace_table(read_text(DOCUMENT), format_table(rows), marks=MARKS))


def calibrate(scenario: Scenario, *, n_studies: int, seed: int) -> Coverage:
    """Choose the best by the held-out pairs in each study, and look at its intervals."""
    draws = np.random.default_rng(seed)
    groups = [str(number // scenario.pairs_a_group) for number in range(N_PAIRS)]
    truth = scenario.accuracy
    held = np.zeros(3)
    widths = []
    for _ in range(n_studies):
        right = simulate_right(scenario, draws)
        best = right[right.sum(axis=1).argmax()].astype(float).tolist()
        plain = interval_after_choosing(best, groups, n_looks=1)
        corrected = interval_after_choosing(best, groups, n_looks=scenario.n_looks)
        if plain is None or corrected is None:
            raise ValueError("one group has no interval to count")
        held += (
            plain.low <= truth <= plain.high,
            corrected.low <= truth <= corrected.high,
            corrected.low <= truth,
        )
        widths.append(corrected.high - corrected.low)
    shares = (float(share) for share in held / n_studies)
    return Coverage(*shares, median_width=float(np.median(widths)))


def simulate_right(scenario: Scenario, draws: np.random.Generator) -> np.ndarray:
    """Right or wrong, shape (looks, pairs): a pair's ease is shared by variants, and by its group."""
    n_looks, _, correlation, size = scenario
    n_groups = -(-N_PAIRS // size)
    within = WITHIN_GROUP if size > 1 else 0.0

    def latent(rows: int) -> np.ndarray:
        group = np.repeat(draws.normal(size=(rows, n_groups)), size, axis=1)[:, :N_PAIRS]
        return np.sqrt(within) * group + np.sqrt(1 - within) * draws.normal(size=(rows, N_PAIRS))

    ease = np.sqrt(correlation) * latent(1) + np.sqrt(1 - correlation) * latent(n_looks)
    return np.asarray(ease < norm.ppf(scenario.accuracy))


def format_table(rows: list[tuple[Scenario, Coverage]]) -> str:
    """One Markdown row a scenario."""
    lines = [
        "| looks | true accuracy | variants alike | pairs a group | plain interval holds | corrected holds "
        "| its lower end holds | its width |",
        "|" + "---:|" * 8,
    ]
    for one, found in rows:
        lines.append(
            f"| {one.n_looks} | {one.accuracy:.0%} | {one.correlation:.1f} | {one.pairs_a_group} "
            f"| {found.plain:.1%} | {found.corrected:.1%} | {found.corrected_low:.1%} "
            f"| {found.median_width * 100:.1f} points |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
