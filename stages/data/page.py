"""What the page about the data shows: tables, counts and bars, all from checked rows."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.data.pair_index import FEATURES, Names, PairIndex
from stages.data.prompt_rules import CheckedPrompts
from stages.data.rules import RuleResult, RuleSetting, find_broken
from stages.data.validation import CheckedPairs, CheckedRows, Violation, list_violations

N_EXAMPLES = 5
N_NAMES = 12
N_BARS = 12


class Bar(NamedTuple):
    """A label, its count, and the count as a share of the largest, in percent."""

    label: str
    n_pairs: int
    percent: int


class RuleExamples(NamedTuple):
    """The first violations of a rule, and how many there are in all."""

    result: RuleResult
    examples: list[Violation]


def pick_examples(
    results: Sequence[RuleResult],
    checked: CheckedRows,
    settings: Mapping[str, RuleSetting],
    *,
    at_most: int | None = N_EXAMPLES,
) -> list[RuleExamples]:
    """The first violations of every rule that has some, in the order of the rules; None: all of them."""
    picked = {result.rule: RuleExamples(result, []) for result in results if result.n_violations}
    for violation in list_violations(checked, settings):
        examples = picked[violation.rule].examples
        if at_most is None or len(examples) < at_most:
            examples.append(violation)
    return list(picked.values())


def draw_names(names: Names, numbers: NDArray[np.int64], *, without: str) -> list[Bar]:
    """Counts per name, the most frequent first; the rest in one bar, the nameless in another."""
    counts = np.bincount(numbers[numbers >= 0], minlength=len(names))
    ordered = sorted(zip(names.all, counts.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))
    shown = [(name, count) for name, count in islice(ordered, N_NAMES) if count]
    rest = ordered[len(shown) :]
    if sum(count for _, count in rest):
        shown.append((f"{len(rest)} others", sum(count for _, count in rest)))
    if (numbers < 0).any():
        shown.append((without, int((numbers < 0).sum())))
    return _bars(shown)


def draw_length_differences(index: PairIndex, kept: NDArray[np.bool_]) -> list[Bar]:
    """How many words longer the preferred text is, in classes of ten words and open ends."""
    words = index.feature_differences[kept, FEATURES.index("words")].astype(np.int64)
    edges = [-50, -30, -20, -10, 0, 1, 11, 21, 31, 51]
    spans = ["1–10", "11–20", "21–30", "31–50", "51 or more"]
    labels = [f"{span} shorter" for span in reversed(spans)]
    labels += ["the same", *(f"{span} longer" for span in spans)]
    classes = np.searchsorted(np.array(edges), words, side="right")
    counts = np.bincount(classes, minlength=len(labels)).tolist()
    return _bars(list(zip(labels, counts, strict=True)))


def _bars(counts: Sequence[tuple[str, int]]) -> list[Bar]:
    most = max((count for _, count in counts), default=0)
    return [Bar(label, count, round(100 * count / most) if most else 0) for label, count in counts]


def describe_validation(
    pairs: CheckedPairs,
    prompts: CheckedPrompts,
    results: Sequence[RuleResult],
    labels: Mapping[str, Mapping[str, float | int | str]],
) -> dict[str, Any]:
    """The numbers of metrics/validate.json; what was not measured is left out.

    `labels` is `measures.agreement.describe_labels`. Rows are votes on kept pairs, repeats, or set aside.
    """
    broken = find_broken(results)
    return {
        "n_rows": pairs.rows.n_rows,
        "n_kept": pairs.rows.n_kept,
        "n_votes": pairs.n_votes,
        "n_repeats": pairs.n_repeats,
        "n_set_aside": pairs.n_set_aside,
        "n_prompts": len(prompts.prompts),
        "ok": not broken,
        "broken": ", ".join(broken) or "none",
        "is_synthetic": pairs.n_kept_synthetic > 0 or any(prompt.synthetic for prompt in prompts.prompts),
        "rules": {result.rule: result.n_violations for result in results},
        "audit": {name: round(value, 6) for name, value in pairs.audit.numbers.items()}
        | pairs.audit.review_dates,
        **{name: _rounded(numbers) for name, numbers in labels.items()},
    }


def _rounded(numbers: Mapping[str, float | int | str]) -> dict[str, float | int | str]:
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in numbers.items()}


def summarise(metrics: dict[str, Any]) -> str:
    """One line for the person watching."""
    verdict = (
        "fit to learn from" if metrics["ok"] else f"unfit: {metrics['broken']} broken more often than allowed"
    )
    return f"{metrics['n_rows']:,} rows, {count_kept(**metrics)}, {metrics['n_prompts']:,} prompts: {verdict}"


def count_kept(*, n_kept: int, n_votes: int, n_repeats: int, n_set_aside: int, **_: object) -> str:
    """What became of the rows; votes and repeats where there are some."""
    words = [f"{n_kept:,} kept"]
    words += [f"{n_votes - n_kept:,} further votes on them"] if n_votes > n_kept else []
    words += [f"{n_repeats:,} repeats"] if n_repeats else []
    return ", ".join([*words, f"{n_set_aside:,} set aside"])
