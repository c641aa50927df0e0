"""`python -m benchmarks.calibrate_capability`: are the capability bounds and states what they say?

Simulates models whose drop, discordance and unevenness between subjects are known, measures each
with the pipeline's own code, and counts how often a bound holds the truth and which state the gate
gives. Writes benchmarks/results/calibrate_capability.json and the table in docs/statistics.md.
"""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from stages.decision.data_facts import DataFacts
from stages.decision.evidence import CapabilityEvidence
from stages.decision.findings import DropLimits, State
from stages.decision.judge import judge_capability
from stages.files.io import read_text, write_json, write_text
from stages.files.json_text import as_written
from stages.measures.capability import lower_bound
from stages.measures.paired import paired_difference
from stages.run.params import load_params
from stages.run.progress import track

N_MODELS = 2000
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


def calibrate(scenario: Scenario, limits: DropLimits, *, n_models: int, seed: int) -> Calibration:
    """Measure and judge `n_models` simulated models."""
    subjects = spread_over_subjects(scenario.n)
    draws = np.random.default_rng(seed)
    states: Counter[State] = Counter()
    held = np.zeros(3)
    widths = []
    for _ in range(n_models):
        base, policy = simulate_answers(scenario, subjects, draws)
        found = paired_difference(base.astype(int) - policy.astype(int), subjects)
        base_acc_low = lower_bound(int(base.sum()), scenario.n)
        evidence = CapabilityEvidence(
            same_questions=True,
            n=scenario.n,
            drop=found.value,
            low=found.low_one_sided,
            high=found.high_one_sided,
            high_two_sided=found.high,
            n_base_correct=int(base.sum()),
            n_policy_correct=int(policy.sum()),
            n_discordant_worse=int((base & ~policy).sum()),
            n_discordant_better=int((policy & ~base).sum()),
            base_acc_low=base_acc_low,
            at_floor=base_acc_low <= limits.chance + limits.max_drop,
        )
        states[judge_capability(evidence, FACTS, limits=limits).state] += 1
        bounds = (
            found.low_one_sided <= scenario.drop,
            scenario.drop <= found.high_one_sided,
            scenario.drop <= found.high,
        )
        held += bounds
        widths.append(found.high_one_sided - found.low_one_sided)
    low_holds, high_holds, high_two_sided_holds = (float(share) for share in held / n_models)
    return Calibration(
        low_holds,
        high_holds,
        high_two_sided_holds,
        median_width=float(np.median(widths)),
        states={state: n / n_models for state, n in sorted(states.items())},
    )


def spread_over_subjects(n: int) -> NDArray[np.int_]:
    """The subject's number of each of `n` questions, in the proportions of the full set."""
    ends = np.cumsum(SUBJECT_SIZES)
    places = (np.arange(n) + 0.5) / n * ends[-1]
    subjects: NDArray[np.int_] = np.searchsorted(ends, places, side="right")
    return subjects


def simulate_answers(
    scenario: Scenario, subjects: NDArray[np.int_], draws: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Right or wrong for base and policy, each question by itself within its subject."""
    uneven = draws.normal(0.0, scenario.subject_sd, len(SUBJECT_SIZES))[subjects]
    drops = np.clip(scenario.drop + uneven, -scenario.discordance, scenario.discordance)
    first, second = draws.random((2, scenario.n))
    worse = first < (scenario.discordance + drops) / 2
    better = ~worse & (first < scenario.discordance)
    acc_where_agreed = (scenario.base_acc - (scenario.discordance + scenario.drop) / 2) / (
        1 - scenario.discordance
    )
    agreed_right = ~worse & ~better & (second < acc_where_agreed)
    return worse | agreed_right, better | agreed_right


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
