"""`python -m benchmarks.calibrate_capability`: are the capability bounds and states what they say?

Simulates models whose drop, discordance and unevenness between subjects are known, and counts how often
a bound holds the truth and which state the gate gives. All models of a row are measured at once; tests
hold that to the pipeline's own code. Writes benchmarks/results/calibrate_capability.json and the table in
docs/statistics.md.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from threadpoolctl import threadpool_limits

from stages.decision.data_facts import DataFacts
from stages.decision.findings import DropLimits, State
from stages.files.io import read_text, write_json, write_text
from stages.files.json_text import as_written
from stages.measures.capability import lower_bound
from stages.measures.intervals import estimate_likeness, estimated_degrees_of_freedom
from stages.measures.paired import ONE_SIDED, TWO_SIDED
from stages.run.params import load_params
from stages.run.progress import track

N_MODELS = 3000
RESULTS = Path("benchmarks/results/calibrate_capability.json")
DOCUMENT = Path("docs/statistics.md")
TABLE_START, TABLE_END = "<!-- calibrate_capability: start -->\n", "<!-- calibrate_capability: end -->"
FACTS = DataFacts((), (), is_synthetic=False, split_sha256="", n_holdout=1, study_id=None)

# Questions in each of MMLU's 57 subjects (test split, subjects in alphabetical order; 14,042 in all).
SUBJECT_SIZES = [
    100, 135, 152, 100, 265, 144, 100, 100, 100, 173, 102, 100, 235, 114, 145, 378, 126, 100, 310,
    203, 100, 165, 198, 193, 390, 270, 238, 151, 545, 216, 204, 237, 223, 131, 121, 108, 163, 112,
    103, 234, 100, 783, 346, 895, 306, 311, 324, 282, 1534, 272, 612, 110, 245, 201, 100, 166, 171,
]  # fmt: skip

Counts = NDArray[np.int_]


class Scenario(NamedTuple):
    """A true state of the world; all but `n` are shares of questions."""

    n: int
    base_acc: float
    drop: float
    discordance: float  # questions on which the models differ
    subject_sd: float  # standard deviation of the true drop between subjects


class Calibration(NamedTuple):
    """How often each bound held the true drop, and each state came out, as shares of the models."""

    low_holds: float
    high_holds: float
    high_two_sided_holds: float
    median_width: float  # from the lower to the upper one-sided bound
    states: dict[State, float]


SCENARIOS = [
    *(Scenario(n, 0.60, 0.0, 0.02, 0.0) for n in (114, 280, 1531, 14042)),
    *(Scenario(14042, 0.60, drop, 0.06, 0.0) for drop in (0.0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03)),
    Scenario(14042, 0.60, 0.19, 0.30, 0.0),
    *(Scenario(14042, 0.60, drop, 0.10, 0.01) for drop in (0.0, 0.02)),
    *(Scenario(14042, 0.60, drop, 0.20, 0.02) for drop in (0.0, 0.01, 0.02, 0.03)),
    *(Scenario(1531, 0.60, drop, 0.10, 0.02) for drop in (0.0, 0.02, 0.05)),
    *(Scenario(n, 0.30, drop, 0.10, 0.0) for n in (1531, 14042) for drop in (0.0, 0.02, 0.05)),
    *(Scenario(14042, 0.25, drop, 0.30, 0.0) for drop in (0.0, 0.01)),
]


def main() -> None:
    """Simulate every scenario and write what came out."""
    limits = load_params().limits.capability
    rows = []
    with threadpool_limits(1):  # many small sums: threads would only wait for each other
        for seed, one in enumerate(
            track(SCENARIOS, total=len(SCENARIOS), label="calibrate", unit="scenarios")
        ):
            line = DropLimits(
                as_written(limits.max_drop),
                as_written(limits.confirmed_drop),
                as_written(limits.chance),
                min_questions=one.n,
            )
            rows.append((one, calibrate(one, line, n_models=N_MODELS, seed=seed)))
    write_json(
        RESULTS,
        {"n_models": N_MODELS, "scenarios": [one._asdict() | found._asdict() for one, found in rows]},
    )
    write_text(DOCUMENT, replace_table(read_text(DOCUMENT), format_table(rows)))


class Answers(NamedTuple):
    """Questions of each simulated model by subject, [n_models, n_subjects]."""

    worse: Counts  # only the base is right
    better: Counts  # only the policy is right
    both_right: Counts


def calibrate(scenario: Scenario, limits: DropLimits, *, n_models: int, seed: int) -> Calibration:
    """Measure and judge `n_models` simulated models."""
    sizes = spread_over_subjects(scenario.n)
    answers = simulate_answers(scenario, sizes, np.random.default_rng(seed), n_models=n_models)
    found = bounds_of(answers, sizes)
    n_base_right = (answers.worse + answers.both_right).sum(axis=1)
    floor = limits.chance + limits.max_drop
    at_floor = np.array([lower_bound(int(k), scenario.n) <= floor for k in n_base_right])
    states: dict[State, NDArray[np.bool_]] = {"fail": found.low > float(limits.max_drop)}
    allowed = ~states["fail"] & ~at_floor & (found.high < float(limits.max_drop))
    states["confirmed"] = allowed & (found.high_two_sided < float(limits.confirmed_drop))
    states["pass"] = allowed & ~states["confirmed"]
    states["inconclusive"] = ~states["fail"] & ~allowed
    return Calibration(
        low_holds=float((found.low <= scenario.drop).mean()),
        high_holds=float((scenario.drop <= found.high).mean()),
        high_two_sided_holds=float((scenario.drop <= found.high_two_sided).mean()),
        median_width=float(np.median(found.high - found.low)),
        states={state: float(one.mean()) for state, one in sorted(states.items()) if one.any()},
    )


def spread_over_subjects(n: int) -> Counts:
    """How many of `n` questions each subject has, in the proportions of the full set."""
    ends = np.cumsum(SUBJECT_SIZES)
    places = (np.arange(n) + 0.5) / n * ends[-1]
    return np.bincount(np.searchsorted(ends, places, side="right"), minlength=len(SUBJECT_SIZES))


def simulate_answers(
    scenario: Scenario, sizes: Counts, draws: np.random.Generator, *, n_models: int
) -> Answers:
    """Right or wrong for base and policy, each question by itself within its subject."""
    uneven = draws.normal(0.0, scenario.subject_sd, (n_models, len(sizes)))
    drops = np.clip(scenario.drop + uneven, -scenario.discordance, scenario.discordance)
    is_worse, is_better = (scenario.discordance + drops) / 2, (scenario.discordance - drops) / 2
    worse = draws.binomial(sizes, is_worse)
    better = draws.binomial(sizes - worse, is_better / (1 - is_worse))
    acc_where_agreed = (scenario.base_acc - (scenario.discordance + scenario.drop) / 2) / (
        1 - scenario.discordance
    )
    return Answers(worse, better, draws.binomial(sizes - worse - better, acc_where_agreed))


class Bounds(NamedTuple):
    """The drop's two one-sided 95 % bounds and its two-sided upper one, [n_models]."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    high_two_sided: NDArray[np.float64]


def bounds_of(answers: Answers, sizes: Counts) -> Bounds:
    """`paired_difference` of every model at once; a test holds the two together."""
    n, net = int(sizes.sum()), answers.worse - answers.better
    drop = net.sum(axis=1) / n
    independent = ((answers.worse + answers.better).sum(axis=1) / n - drop**2) / n
    clustered = ((net - drop[:, None] * sizes) ** 2 / (1 - sizes / n)).sum(axis=1) / n**2
    df = estimated_degrees_of_freedom(sizes, estimate_likeness(clustered, independent * n, sizes))
    error = np.sqrt(np.maximum(independent, clustered) + 1 / n**2)
    one_sided, two_sided = (
        np.where(clustered > independent, stats.t.ppf(level, df), stats.norm.ppf(level)) * error
        for level in (ONE_SIDED, TWO_SIDED)
    )
    return Bounds(drop - one_sided, drop + one_sided, drop + two_sided)


def format_table(rows: list[tuple[Scenario, Calibration]]) -> str:
    """One Markdown row a scenario; percentages."""
    lines = [
        "| questions | base right | true drop | models differ on | drop varies between subjects by "
        "| lower bound holds | upper holds | width (points) | fail | inconclusive | pass | confirmed |",
        "|" + "---:|" * 12,
    ]
    for one, found in rows:
        cells = [
            f"{one.n:,}",
            *(f"{share:.1%}" for share in (one.base_acc, one.drop, one.discordance, one.subject_sd)),
            *(f"{share:.1%}" for share in (found.low_holds, found.high_holds)),
            f"{100 * found.median_width:.1f}",
            *(_share(found.states, state) for state in ("fail", "inconclusive", "pass", "confirmed")),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _share(states: dict[State, float], state: State) -> str:
    return f"{states[state]:.1%}" if state in states else "0"


def replace_table(document: str, table: str, *, marks: tuple[str, str] = (TABLE_START, TABLE_END)) -> str:
    """The document with the table between its two marks; ValueError where a mark is missing."""
    start, end = marks
    before, rest = document.split(start)
    _, after = rest.split(end)
    return f"{before}{start}{table}{end}{after}"


if __name__ == "__main__":
    main()
