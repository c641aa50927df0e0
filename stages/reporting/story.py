"""What the founder is told: one wording for every state, in plain words, with every number's range.

Nothing is judged here. The states come from the gates, the numbers from the metrics.
"""

from typing import NamedTuple

from stages.decision.findings import Limits
from stages.decision.verdicts import GateName, StoredGates
from stages.decision.wording import count, listed, say_day
from stages.reporting.advice import advise, list_risks, list_untested
from stages.reporting.coverage import Coverage, Measures
from stages.reporting.outlook import look_ahead
from stages.reporting.results import explain_accuracy, explain_capability, explain_winrate
from stages.reporting.table import BADGES, TESTS, Badge, Row, write_rows


class Story(NamedTuple):
    """Everything on the page but quoted texts, as sentences."""

    banner: list[str]
    warnings: str | None
    answer: str
    intro: str
    badge: Badge
    rows: list[Row]
    meaning: list[str]
    untested: list[str]
    risks: list[str]
    next_step: list[str]


def tell_story(
    gates: StoredGates,
    measures: Measures,
    limits: Limits,
    coverage: Coverage,
    *,
    study_reason: str,
    n_looks: int | None = None,
) -> Story:
    """The page's sentences for the states and numbers at hand; `study_reason` is quoted as such.

    `n_looks` says how many versions the set-aside pairs have tested; None where nobody counted.
    """
    return Story(
        banner=write_banner(coverage),
        warnings=gates.warnings,
        answer=answer(gates, is_synthetic=coverage.is_synthetic),
        intro=introduce(coverage),
        badge=BADGES[gates.overall.state],
        rows=write_rows(gates, measures, limits, study_reason=study_reason),
        meaning=write_meaning(gates, measures),
        untested=list_untested(coverage),
        risks=list_risks(coverage, n_looks=n_looks),
        next_step=advise(
            {name: verdict.state for name, verdict in gates.named().items()},
            gates.overall.state,
            coverage,
            look_ahead(measures, limits, coverage.period),
        ),
    )


def write_banner(coverage: Coverage) -> list[str]:
    """Lines that stand over everything else where data are made up or only a part was used."""
    lines = []
    if coverage.is_synthetic:
        lines.append("REHEARSAL on made-up data. Decide nothing from this page.")
    parts = [
        (coverage.n_trained, coverage.n_train, "learned from {} of {} pairs"),
        (coverage.n_holdout_scored, coverage.n_holdout, "was tested on {} of {} set-aside pairs"),
        (coverage.n_questions, coverage.min_questions, "answered {} of {} general questions"),
    ]
    short = [text.format(count(some), count(whole)) for some, whole, text in parts if some < whole]
    if short:
        lines.append(f"Small run: the model {listed(short)}.")
    return lines


def introduce(coverage: Coverage) -> str:
    """What the new model is, and when the pairs that it learned from were reviewed."""
    when = ""
    if coverage.period:
        first, last = say_day(coverage.period.reviewed_from), say_day(coverage.period.reviewed_to)
        when = f" on {first}" if first == last else f" from {first} to {last}"
    return (
        "The new model is the starting model, after it learned from pairs of texts that our editors "
        f"ranked{when}. It may be released if it passes all of the tests below."
    )


def answer(gates: StoredGates, *, is_synthetic: bool) -> str:
    """The decision in one sentence, from the overall state."""
    state = gates.overall.state
    verdicts = gates.named()
    named = [f"“{test}”" for name, test in TESTS.items() if verdicts[name].state == state]
    tests = f"the {'test' if len(named) == 1 else 'tests'} {listed(named)}"
    if state == "invalid":
        return f"No answer: {tests} cannot be used, because a check on the test itself went wrong."
    if state == "fail":
        return f"No: the new model failed {tests}."
    if state == "pending" and is_synthetic:
        return "Not yet: this is a rehearsal on made-up data, so it can release nothing."
    if state == "pending":
        return f"Not yet: {tests} {'is' if len(named) == 1 else 'are'} not finished."
    if state == "inconclusive":
        return f"Not yet: {tests} did not settle the matter."
    if state == "pass":
        return "Yes: the new model passed all three tests, though at least one of them narrowly."
    return "Yes: the new model passed all three tests, each with room to spare."


def write_meaning(gates: StoredGates, measures: Measures) -> list[str]:
    """One paragraph a test, in 100 cases; numbers that cannot be used are not explained."""
    explained: dict[GateName, str] = {
        "winrate": explain_winrate(measures.winrate),
        "accuracy": explain_accuracy(measures.accuracy),
        "capability": explain_capability(measures.capability),
    }
    return [
        f"The numbers of the test “{TESTS[name]}” cannot be used, so they mean nothing yet."
        if verdict.state == "invalid"
        else explained[name]
        for name, verdict in ((name, gates.named()[name]) for name in TESTS)
    ]
