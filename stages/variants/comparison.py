"""A comparison of variants, put together for a terminal and for a page."""

from collections.abc import Sequence
from typing import NamedTuple

from stages.decision.verdicts import GATE_NAMES, StoredVerdict
from stages.measures.intervals import Interval
from stages.measures.paired import PairedDifference
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
    "of base",
    "overall",
    "frontier",
)
CANDIDATE_HEADER = ("rank", "selection, mean", "lowest to highest", "runs", "seeds")
CANDIDATE_NOTE = (
    "Runs that differ in train.seed alone are one candidate, ranked by its mean. Lowest to highest is what "
    "its runs gave, not an interval: where two of these overlap, or a run stands alone, other seeds could "
    "turn the order."
)
NOT_THERE = "–"


class Pairing(NamedTuple):
    """Two variants: the second's difference to the first, on pairs and on questions."""

    first: str
    second: str
    accuracy: PairedDifference | NotComparable
    knowledge: PairedDifference | NotComparable


class Choice(NamedTuple):
    """The best-ranked variant's held-out accuracy, alone and as the best of all looks."""

    name: str
    n_looks: int
    k: int
    n: int
    plain: Interval
    corrected: Interval


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


def format_comparison(comparison: Comparison) -> str:
    """All of it as text for a terminal."""
    grouped = candidate_rows(comparison.candidates)
    parts = [
        *([align(grouped), CANDIDATE_NOTE] if grouped else []),
        align([HEADER, *table_rows(comparison.candidates)]),
        params_text(comparison.variants),
        "\n".join(choice_lines(comparison)),
        *("\n".join(pairing_lines(pairing)) for pairing in comparison.pairings),
    ]
    return "\n\n".join(part for part in parts if part)


def candidate_rows(candidates: Sequence[Candidate]) -> list[tuple[str, ...]]:
    """A header and one row a candidate, with the parameters that differ; empty where each is one run."""
    if all(len(one.runs) == 1 for one in candidates):
        return []
    differing = differing_params([one.runs[0] for one in candidates])
    differing.pop(SEED, None)
    rows = [
        (str(rank), *candidate_cells(one), *values)
        for rank, (one, *values) in enumerate(zip(candidates, *differing.values(), strict=True), start=1)
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
    ranked = [(rank, run) for rank, one in enumerate(candidates, start=1) for run in one.runs]
    frontier = on_the_frontier([run for _, run in ranked])
    return [
        (
            str(rank),
            one.name,
            f"{percent(one.selection.accuracy)} of {one.selection.n}" if one.selection else NOT_THERE,
            *(gate_cell(getattr(one.gates, name) if one.gates else None) for name in GATE_NAMES),
            f"{one.mean_n_tokens:.0f}" if one.mean_n_tokens is not None else NOT_THERE,
            f"{one.length_ratio:.2f}x" if one.length_ratio is not None else NOT_THERE,
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
    return f"{percent(verdict.value)} ({between}; n {verdict.n}) {verdict.state}"


def params_text(variants: Sequence[Variant]) -> str:
    """The parameters that differ, one row a variant, or a sentence where none does."""
    rows = params_rows(variants)
    return align(rows) if len(rows[0]) > 1 else "No parameter differs."


def params_rows(variants: Sequence[Variant]) -> list[tuple[str, ...]]:
    """A header and one row a variant, with the parameters that differ."""
    differing = differing_params(variants)
    return [("variant", *differing), *zip((one.name for one in variants), *differing.values(), strict=True)]


def choice_lines(comparison: Comparison) -> list[str]:
    """How often the held-out pairs were looked at, and what that does to the best variant's interval."""
    choice = comparison.choice
    times = f"{comparison.n_looks} times (by variants, removed ones included)"
    lines = [f"The held-out pairs have been scored {times}."]
    if choice is None:
        return lines
    is_one_of_several = len(comparison.candidates[0].runs) > 1
    first = "is the best run of the candidate that ranks first" if is_one_of_several else "ranks first"
    return [
        *lines,
        f"{choice.name} {first} by selection accuracy: held out {choice.k} of {choice.n} = "
        f"{percent(choice.k / choice.n)}, 95 % {interval(choice.plain)}.",
        f"Had it been picked by the held-out pairs as the best of {choice.n_looks}, only "
        f"{interval(choice.corrected)} could be claimed (Bonferroni over the looks).",
    ]


def pairing_lines(pairing: Pairing) -> list[str]:
    """The paired differences of two variants, as sentences."""
    lines = [f"{pairing.second} against {pairing.first}, on the same items:"]
    for label, result in (("held-out accuracy", pairing.accuracy), ("right answers", pairing.knowledge)):
        if isinstance(result, NotComparable):
            lines.append(f"  {label}: not compared. {result.sentence}")
            continue
        lines.append(
            f"  {label}: {points(result.value)} points "
            f"(95 % {points(result.low)} to {points(result.high)}; n {result.n}; "
            f"only {pairing.second} right {result.n_up}, only {pairing.first} right "
            f"{result.n_down}; McNemar exact p {result.p_mcnemar:.3g})"
        )
    return lines


def align(rows: Sequence[Sequence[str]]) -> str:
    """Columns of equal width, a rule under the first row."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def percent(share: float) -> str:
    """A share with one decimal."""
    return f"{share * 100:.1f} %"


def points(difference: float) -> str:
    """A difference of shares in points, always with its sign."""
    return f"{difference * 100:+.1f}"


def interval(ends: Interval) -> str:
    """Both ends in percent."""
    return f"{percent(ends.low)} to {percent(ends.high)}"
