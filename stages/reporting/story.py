"""What the founder is told: one wording for every state, in plain words.

Nothing is judged here. The states come from the gates, the numbers from the metrics. Another module
adds a remark of its own as a `Notice` (a level and a sentence; it stands once, under the answer), a sentence
about one test as a note under its card (cards.py), and a table as an `AppendixTable` (appendix.py).
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from stages.decision.findings import Limits, State
from stages.decision.verdicts import GateName, StoredGates
from stages.decision.wording import count, listed, say_day, sentence
from stages.reporting.advice import advise, list_risks, list_untested
from stages.reporting.cards import BADGES, NO_FOUNDERS_WORDS, TESTS, Badge, Card, write_cards
from stages.reporting.coverage import Coverage, Measures
from stages.reporting.identity import Identity
from stages.reporting.outlook import look_ahead

ANSWERS: dict[State, str] = {
    "invalid": "No answer yet.",
    "fail": "No, not this one.",
    "pending": "Not yet.",
    "inconclusive": "Not settled yet.",
    "pass": "Yes, release it.",
    "confirmed": "Yes, release it.",
}
BARS_MEAN = (
    "A bar is the likely range: at least 95 times in 100 the truth is no worse than its left end, and as "
    "often no better than its right end. The dot is what was measured, green is good. "
    "In the first two tests a coin toss gets 50."
)


class Notice(NamedTuple):
    """What stands beside the answer: `stop` over it, `caution` and `note` under it."""

    level: Literal["stop", "caution", "note"]
    text: str
    quoted: str = ""


class Story(NamedTuple):
    """Everything on the page but quoted texts, as sentences."""

    identity: Identity
    notices: list[Notice]
    answer: str
    because: str
    intro: str
    badge: Badge
    cards: list[Card]
    bars_mean: str
    untested: list[str]
    risks: list[str]
    next_step: list[str]


def tell_story(
    gates: StoredGates,
    measures: Measures,
    limits: Limits,
    coverage: Coverage,
    *,
    identity: Identity,
    study_reason: str,
    n_looks: int | None = None,
    override: str | None = None,
    more: Sequence[Notice] = (),
    notes: Mapping[GateName, Sequence[str]] | None = None,
) -> Story:
    """The page's sentences for the states and numbers at hand.

    `n_looks` says how many versions the set-aside pairs have tested, None where nobody counted; `override`
    is the reason for which the model is released against its verdict; `more` and `notes` come from others.
    """
    cards = write_cards(gates, measures, limits, study_reason=study_reason, notes=notes or {})
    return Story(
        identity=identity,
        notices=[*write_notices(gates, coverage, override), *more],
        answer=ANSWERS[gates.overall.state],
        because=explain_answer(gates, is_synthetic=coverage.is_synthetic),
        intro=introduce(coverage),
        badge=BADGES[gates.overall.state],
        cards=cards,
        bars_mean=BARS_MEAN if any(card.bar for card in cards) else "",
        untested=list_untested(coverage),
        risks=list_risks(coverage, n_looks=n_looks),
        next_step=advise(
            {name: verdict.state for name, verdict in gates.named().items()},
            gates.overall.state,
            coverage,
            look_ahead(measures, limits, coverage.period),
        ),
    )


def write_notices(gates: StoredGates, coverage: Coverage, override: str | None) -> list[Notice]:
    """What a reader must know before the answer, and what tempers it."""
    notices = []
    if override:
        notices.append(Notice("stop", "Released against the answer below. The reason given:", override))
    if coverage.is_synthetic:
        notices.append(Notice("stop", "Rehearsal on made-up data. Decide nothing from this page."))
    if coverage.n_trained < coverage.n_train:
        learned = f"{count(coverage.n_trained)} of {count(coverage.n_train)}"
        notices.append(Notice("caution", f"Small run: the model learned from {learned} pairs."))
    if gates.warnings:
        unreadable = NO_FOUNDERS_WORDS.search(gates.warnings)
        said = "The side check on general behaviour cannot be used." if unreadable else gates.warnings
        notices.append(Notice("caution", said))
    return notices


def introduce(coverage: Coverage) -> str:
    """What the new model is, and when the pairs that it learned from were reviewed."""
    when = ""
    if coverage.period:
        first, last = say_day(coverage.period.reviewed_from), say_day(coverage.period.reviewed_to)
        when = f" on {first}" if first == last else f" from {first} to {last}"
    who = "a program wrote and ranked" if coverage.is_synthetic else f"our editors ranked{when}"
    return (
        f"The new model is the starting model, after it learned from pairs of texts that {who}. "
        "It may be released if it passes all of the tests."
    )


def explain_answer(gates: StoredGates, *, is_synthetic: bool) -> str:
    """One sentence that names the tests to which the answer is due."""
    state = gates.overall.state
    verdicts = gates.named()
    named = [f"“{test}”" for name, test in TESTS.items() if verdicts[name].state == state]
    one, tests = len(named) == 1, f"the {'test' if len(named) == 1 else 'tests'} {listed(named)}"
    if state == "invalid":
        return f"A check on {tests} itself went wrong, so {'it' if one else 'they'} cannot be used."
    if state == "fail":
        return f"The new model failed {tests}."
    if state == "pending" and is_synthetic:
        return "This is a rehearsal on made-up data, so it can release nothing."
    if state == "pending":
        return f"{sentence(tests)} {'is' if one else 'are'} not finished."
    if state == "inconclusive":
        return f"{sentence(tests)} did not settle the matter."
    if state == "pass":
        narrow = "One was narrow" if one else f"{'Two' if len(named) == 2 else 'All three'} were narrow"
        return f"It passed all three tests. {narrow}: {listed(named)}."
    return "It passed all three tests, each of them clearly."
