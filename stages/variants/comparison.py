"""A comparison of variants, put together for a terminal and for a page."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from stages.decision.findings import SYMBOLS, State
from stages.decision.verdicts import GATE_NAMES, StoredVerdict
from stages.decision.wording import listed, times
from stages.files.numbers import percent
from stages.measures.intervals import Interval
from stages.measures.paired import PairedDifference
from stages.pages.terminal import Cell, print_table, print_text, show_state
from stages.run import paths
from stages.variants.paired import NotComparable
from stages.variants.variants import SEED, Candidate, Variant, differing_params, on_the_frontier

HEADER = (
    "rank",
    "variant",
    "selection",
    "accuracy",
    "win rate",
    "drop",
    "tokens",
    "length",
    "made up",
    "overall",
    "frontier",
)
CAPTION = (
    "Shares with their likely range. Drop: right answers lost, negative where some were gained. "
    "Tokens: the mean length of its texts. Length: that beside the base model’s, 1.00x where both are as "
    "long. Made up: figures and names that no prompt gave, in 100 words beyond the base model’s. Frontier: a "
    "star where no other variant beats it in both accuracy and drop."
)
SHORT_HEADER = ("rank", "variant", "selection", "held out", "win rate", "drop", "length", "verdict")
RANGES_HEADER = ("variant", "held out, 95 % range", "win rate", "drop, points")
CANDIDATE_HEADER = ("rank", "selection, mean", "lowest to highest", "runs", "seeds")
CANDIDATE_NOTE = (
    "Runs that differ in train.seed alone are one candidate, ranked by its mean. Lowest to highest is what "
    "its runs gave, not an interval: where two of these overlap, or a run stands alone, other seeds could "
    "turn the order."
)
NOT_THERE = "–"
NOT_PAIRED = NotComparable("The two were not paired.")


class Pairing(NamedTuple):
    """Two variants: the second's difference to the first, on both parts of the pairs and on questions."""

    first: str
    second: str
    selection: PairedDifference | NotComparable
    accuracy: PairedDifference | NotComparable
    knowledge: PairedDifference | NotComparable


class Choice(NamedTuple):
    """The best-ranked variant's held-out accuracy, alone and as the best of all looks."""

    name: str
    n_looks: int
    k: int
    n: int
    plain: Interval | None
    corrected: Interval | None


class Comparison(NamedTuple):
    """Candidates in their rank, what differs, the choice, and pairs of variants."""

    candidates: list[Candidate]
    n_looks: int
    choice: Choice | None
    pairings: list[Pairing]

    @property
    def variants(self) -> list[Variant]:
        """Every run, those of the first candidate first."""
        return [run for candidate in self.candidates for run in candidate.runs]


def print_comparison(comparison: Comparison, console: Console) -> None:
    """All of it for a terminal: who is ahead, the tables, then what the numbers are worth."""
    print_text(console, headline(comparison), style="bold")
    grouped = candidate_rows(comparison.candidates)
    if grouped:
        console.print()
        print_table(console, grouped[0], grouped[1:])
        print_text(console, CANDIDATE_NOTE)
    params = params_rows(comparison.variants)
    differs = len(params[0]) > 1
    tables: list[tuple[Sequence[str], Sequence[Sequence[Cell]]]] = [
        (SHORT_HEADER, short_rows(comparison.candidates)),
        (RANGES_HEADER, range_rows(comparison)),
        *([(params[0], params[1:])] if differs else []),
    ]
    for header, rows in tables:
        console.print()
        print_table(console, header, rows, folded="variant")
    remarks = [*synthetic_line(comparison.variants), *([] if differs else ["No parameter differs."])]
    remarks += [
        *frontier_line(comparison),
        *made_up_line(comparison.variants),
        *missing_line(comparison.variants),
    ]
    for lines in filter(None, (remarks, choice_lines(comparison), *map(pairing_lines, comparison.pairings))):
        console.print()
        for line in lines:
            text = line.lstrip(" ")
            print_text(console, text, indent=len(line) - len(text))


def headline(comparison: Comparison) -> str:
    """Whether anything is ahead: by the paired difference of the first two candidates' best runs.

    Where one has several runs, the lowest of the first must also lie above the highest of the second.
    """
    scored = [one for one in comparison.candidates if one.mean is not None and one.spread is not None]
    if len(scored) < 2:
        return "Nothing is ahead: fewer than two variants have a selection accuracy."
    best, level = scored[0], [one for one in scored if _level(one) == _level(scored[0])]
    if len(level) > 1:
        tied = listed([one.runs[0].name for one in level])
        return f"Nothing is ahead: {tied} share the best selection accuracy, {percent(best.mean or 0.0)}."
    first, second = best.runs[0].name, scored[1].runs[0].name
    found = next((one.selection for one in comparison.pairings if one.second == second), NOT_PAIRED)
    if isinstance(found, NotComparable):
        return f"{first} ranks first; whether it is ahead of {second} cannot be said. {found.sentence}"
    lead = f"{points(-found.value)} points (95 % {points(-found.high)} to {points(-found.low)})"
    apart = best.spread and scored[1].spread and best.spread.low > scored[1].spread.high
    if found.high < 0 and apart:
        alone = min(len(best.runs), len(scored[1].runs)) == 1
        luck = " One of them has a single run: the luck of its seed is in no range." if alone else ""
        return f"{first} is ahead of {second} by selection accuracy: {lead}.{luck}"
    return f"Nothing is clearly ahead: {first} ranks first, but {lead} over {second} can be chance."


def rank_labels(candidates: Sequence[Candidate]) -> list[str]:
    """`1`, `2=`, `2=`, `4`: equal means share a rank, and what has no score has none."""
    means = [_level(one) for one in candidates]
    return [
        NOT_THERE if mean is None else f"{means.index(mean) + 1}{'=' if means.count(mean) > 1 else ''}"
        for mean in means
    ]


def _level(candidate: Candidate) -> float | None:
    return None if candidate.mean is None else round(candidate.mean, 9)  # without the last digits of a mean


def short_rows(candidates: Sequence[Candidate]) -> list[tuple[Cell, ...]]:
    """One row a run, under SHORT_HEADER."""
    return [
        (
            rank,
            run.name,
            *cells[:-1],
            NOT_THERE if run.length_ratio is None else f"{run.length_ratio:.2f}x",
            cells[-1],
        )
        for rank, one in zip(rank_labels(candidates), candidates, strict=True)
        for run in one.runs
        for cells in [short_cells(run)]
    ]


def short_cells(run: Variant) -> list[Cell]:
    """Selection accuracy, the three gates' numbers and the overall state."""
    return [
        percent(run.selection.accuracy) if run.selection else NOT_THERE,
        *(_short(getattr(run.gates, name)) if run.gates else NOT_THERE for name in GATE_NAMES),
        _state(run.gates.overall.state) if run.gates else NOT_THERE,
    ]


def _short(verdict: StoredVerdict) -> str:
    return verdict.state if verdict.value is None else percent(verdict.value)


def range_rows(comparison: Comparison) -> list[tuple[Cell, ...]]:
    """Each run's intervals with their n and verdict, under RANGES_HEADER."""
    return [
        (run.name, *(_range(getattr(run.gates, name)) if run.gates else NOT_THERE for name in GATE_NAMES))
        for run in comparison.variants
    ]


def _range(verdict: StoredVerdict) -> Cell:
    if verdict.low is None or verdict.high is None:
        return _state(verdict.state)
    between = f"{verdict.low * 100:.1f} to {verdict.high * 100:.1f}, n {verdict.n or 0:,}"
    return _state(verdict.state, between)


def _state(state: State, words: str | None = None) -> Text:
    return show_state(state, SYMBOLS[state], words)


def frontier_line(comparison: Comparison) -> list[str]:
    """The variants that none beats in both accuracy and drop, where that leaves one out."""
    frontier = on_the_frontier(comparison.variants)
    names = [run.name for run in comparison.variants if run.name in frontier]
    return [f"No other beats these in both held-out accuracy and drop: {listed(names)}."] if names else []


def made_up(run: Variant) -> str:
    """Made-up figures and names in 100 words beyond the base's, with the range, where measured."""
    rate = run.made_up
    return f"{rate.difference:+.1f} ({rate.low:+.1f} to {rate.high:+.1f})" if rate else ""


def made_up_line(variants: Sequence[Variant]) -> list[str]:
    """The same for each variant that has it, in one sentence."""
    told = [f"{run.name} {made_up(run)}" for run in variants if run.made_up]
    about = "Figures and names that no prompt gave, in 100 words beyond the base's"
    return [f"{about}: {listed(told)}."] if told else []


def synthetic_line(variants: Sequence[Variant]) -> list[str]:
    """Whose texts are made up; no name where all are."""
    names = [run.name for run in variants if run.is_synthetic]
    if not names:
        return []
    whose = "these texts" if len(names) == len(variants) else f"the texts of {listed(names)}"
    return [f"Made up: a program wrote and judged some or all of {whose}. Decide nothing from these numbers."]


def missing_line(variants: Sequence[Variant]) -> list[str]:
    """Which of them nothing is known of, so that no dash goes unexplained."""
    names = [run.name for run in variants if run.selection is None]
    if not names:
        return []
    return [
        f"No selection accuracy: {listed(names)}. {paths.ACCURACY_METRICS} is missing or half there; it is "
        "written by `bluepencil repro`, or `bluepencil exp run` for an experiment."
    ]


def candidate_rows(candidates: Sequence[Candidate]) -> list[tuple[str, ...]]:
    """A header and one row a candidate, with the parameters that differ; empty where each is one run."""
    if all(len(one.runs) == 1 for one in candidates):
        return []
    differing = differing_params([one.runs[0] for one in candidates])
    differing.pop(SEED, None)
    rows = [
        (rank, *candidate_cells(one), *values)
        for rank, one, *values in zip(rank_labels(candidates), candidates, *differing.values(), strict=True)
    ]
    return [(*CANDIDATE_HEADER, *differing), *rows]


def candidate_cells(candidate: Candidate) -> tuple[str, ...]:
    """Mean, range, number of runs and their seeds; one run has no range."""
    n_runs, spread = len(candidate.runs), candidate.spread
    seeds = [run.params.get(SEED, NOT_THERE) for run in candidate.runs]
    return (
        NOT_THERE if candidate.mean is None else percent(candidate.mean),
        interval(spread) if spread and candidate.n_scored > 1 else NOT_THERE,
        str(n_runs) if candidate.n_scored == n_runs else f"{candidate.n_scored} of {n_runs}",
        ", ".join(sorted(seeds, key=lambda seed: (len(seed), seed))),  # 2 before 10
    )


def table_rows(candidates: Sequence[Candidate]) -> list[tuple[str, ...]]:
    """One row a run, under HEADER, with the rank of its candidate; percent with the 95 % range."""
    ranks = zip(rank_labels(candidates), candidates, strict=True)
    ranked = [(rank, run) for rank, one in ranks for run in one.runs]
    frontier = on_the_frontier([run for _, run in ranked])
    return [
        (
            rank,
            one.name,
            f"{percent(one.selection.accuracy)} of {one.selection.n:,}" if one.selection else NOT_THERE,
            *(gate_cell(getattr(one.gates, name) if one.gates else None) for name in GATE_NAMES),
            f"{one.mean_n_tokens:.0f}" if one.mean_n_tokens is not None else NOT_THERE,
            f"{one.length_ratio:.2f}x" if one.length_ratio is not None else NOT_THERE,
            made_up(one) or NOT_THERE,
            one.gates.overall.state if one.gates else NOT_THERE,
            "*" if one.name in frontier else "",
        )
        for rank, one in ranked
    ]


def gate_cell(verdict: StoredVerdict | None) -> str:
    """A gate's number with its range, n and state."""
    if verdict is None:
        return NOT_THERE
    if verdict.value is None or verdict.low is None or verdict.high is None:
        return verdict.state
    between = f"{percent(verdict.low)} to {percent(verdict.high)}"
    return f"{percent(verdict.value)} ({between}; n {verdict.n or 0:,}) {verdict.state}"


def params_rows(variants: Sequence[Variant]) -> list[tuple[str, ...]]:
    """A header and one row a variant, with the parameters that differ."""
    differing = differing_params(variants)
    return [("variant", *differing), *zip((one.name for one in variants), *differing.values(), strict=True)]


def choice_lines(comparison: Comparison) -> list[str]:
    """How often the held-out pairs were looked at, and what that does to the best variant's interval."""
    choice = comparison.choice
    often = f"{times(comparison.n_looks)} (by variants, removed ones included)"
    lines = [f"The held-out pairs have been scored {often}."]
    if choice is None:
        return lines
    is_one_of_several = len(comparison.candidates[0].runs) > 1
    first = "is the best run of the candidate that ranks first" if is_one_of_several else "ranks first"
    return [
        *lines,
        f"{choice.name} {first} by selection accuracy: held out {choice.k:,} of {choice.n:,} = "
        f"{percent(choice.k / choice.n)} ({known_range(choice.plain)}).",
        claim_after_choosing(choice),
    ]


def known_range(ends: Interval | None) -> str:
    """The range with its level, or that there is none."""
    return interval(ends) if ends is None else f"95 % range {interval(ends)}"


def claim_after_choosing(choice: Choice) -> str:
    """What is left of the range if the held-out pairs themselves had picked this variant."""
    picked = f"Had it been picked by the held-out pairs as the best of {choice.n_looks}, "
    if choice.corrected is None:
        return f"{picked}no range could be claimed."
    return f"{picked}only {interval(choice.corrected)} could be claimed (Bonferroni over the looks)."


def pairing_lines(pairing: Pairing) -> list[str]:
    """The paired differences of two variants, as sentences."""
    lines = [f"{pairing.second} against {pairing.first}, on the same items:"]
    for label, result in (
        ("selection accuracy", pairing.selection),
        ("held-out accuracy", pairing.accuracy),
        ("right answers", pairing.knowledge),
    ):
        if isinstance(result, NotComparable):
            lines.append(f"  {label}: not compared. {result.sentence}")
            continue
        lines.append(
            f"  {label}: {points(result.value)} points "
            f"(95 % {points(result.low)} to {points(result.high)}; n {result.n:,}; "
            f"only {pairing.second} right {result.n_up:,}, only {pairing.first} right "
            f"{result.n_down:,}; McNemar exact p {result.p_mcnemar:.3g})"
        )
    return lines


def points(difference: float) -> str:
    """A difference of shares in points, always with its sign."""
    return f"{difference * 100:+.1f}"


def interval(ends: Interval | None) -> str:
    """Both ends in percent, or that there are none."""
    if ends is None:
        return "no interval (all pairs, or nearly all, belong together)"
    return f"{percent(ends.low)} to {percent(ends.high)}"
