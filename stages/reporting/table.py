"""The three rows of the founder's table: test, target, result, range, verdict, reasons, drawing."""

from typing import NamedTuple

from stages.decision.findings import SYMBOLS, Limits, State, points
from stages.decision.verdicts import GateName, StoredGates, StoredVerdict
from stages.decision.wording import in_hundred, sentence
from stages.files.json_text import as_written
from stages.reporting.coverage import Measures
from stages.reporting.interval_plot import IntervalPlot, plot_drop, plot_share
from stages.reporting.results import (
    accuracy_result,
    capability_result,
    drop_range,
    share_range,
    winrate_result,
)

TESTS: dict[GateName, str] = {
    "winrate": "Blind test",
    "accuracy": "Our editors’ taste",
    "capability": "General knowledge",
}
QUESTIONS: dict[GateName, str] = {
    "winrate": "Do our editors like its texts better, not knowing which model wrote them?",
    "accuracy": "Of two texts it has never seen, does it favour the one our editors chose?",
    "capability": "Did it forget things that the starting model knows?",
}
NOT_MEASURED = "Not measured yet"


class Badge(NamedTuple):
    """A verdict as word, symbol and CSS class: never by colour alone."""

    word: str
    symbol: str
    css: str


BADGES: dict[State, Badge] = {
    "invalid": Badge("Cannot be used", SYMBOLS["invalid"], "invalid"),
    "pending": Badge("Not finished", SYMBOLS["pending"], "pending"),
    "fail": Badge("Failed", SYMBOLS["fail"], "fail"),
    "inconclusive": Badge("Not settled", SYMBOLS["inconclusive"], "inconclusive"),
    "pass": Badge("Passed", SYMBOLS["pass"], "pass"),
    "confirmed": Badge("Passed clearly", SYMBOLS["confirmed"], "confirmed"),
}


class Row(NamedTuple):
    """One test of the table."""

    name: GateName
    test: str
    question: str
    target: str
    result: str
    between: str
    badge: Badge
    said: str
    quoted: str  # the study's own words, where it is not complete
    plot: IntervalPlot | None


class Described(NamedTuple):
    """A measured number in words, and its likely range."""

    result: str
    between: str


class ReasonParts(NamedTuple):
    """Reasons in our words and in quoted ones."""

    said: str
    quoted: str


def write_rows(gates: StoredGates, measures: Measures, limits: Limits, *, study_reason: str) -> list[Row]:
    """The three rows of the table, in the page's order."""
    targets: dict[GateName, str] = {
        "winrate": f"Liked better more than {in_hundred(limits.winrate.min_share)} times in 100",
        "accuracy": f"Agrees on more than {in_hundred(limits.accuracy.min_share)} pairs in 100",
        "capability": f"At most {points(limits.capability.max_drop)} lower",
    }
    measured = describe_measures(measures)
    verdicts = gates.named()
    return [
        Row(
            name=name,
            test=test,
            question=QUESTIONS[name],
            target=targets[name],
            result=sentence(measured[name].result if name in measured else NOT_MEASURED),
            between=sentence(measured[name].between if name in measured else ""),
            badge=BADGES[verdicts[name].state],
            said=said,
            quoted=quoted,
            plot=draw(name, verdicts[name], limits),
        )
        for name, test in TESTS.items()
        for said, quoted in [part_reasons(verdicts[name].reasons, study_reason if name == "winrate" else "")]
    ]


def part_reasons(reasons: str, study_reason: str) -> ReasonParts:
    """Our own sentences, and apart from them the words that the study itself left."""
    if study_reason and reasons.endswith(study_reason):
        return ReasonParts(reasons.removesuffix(study_reason).rstrip(), study_reason)
    return ReasonParts(reasons, "")


def draw(name: GateName, verdict: StoredVerdict, limits: Limits) -> IntervalPlot | None:
    """The gate's interval against its target, or nothing where nothing was measured."""
    if verdict.value is None or verdict.low is None or verdict.high is None:
        return None
    if name == "capability":
        target = limits.capability.max_drop
        alt = f"The change lies {drop_range(verdict.low, verdict.high)}. The limit is {points(target)} lower."
        return plot_drop(verdict.value, verdict.low, verdict.high, target=target, alt=alt)
    target = limits.accuracy.min_share if name == "accuracy" else limits.winrate.min_share
    alt = (
        f"{in_hundred(as_written(verdict.value))} of 100, likely {share_range(verdict.low, verdict.high)}. "
        f"The target is more than {in_hundred(target)} of 100."
    )
    return plot_share(verdict.value, verdict.low, verdict.high, target=target, alt=alt)


def describe_measures(measures: Measures) -> dict[GateName, Described]:
    """Result and likely range of every measured gate."""
    told: dict[GateName, Described] = {}
    if one := measures.winrate:
        told["winrate"] = Described(winrate_result(one), share_range(one.low, one.high))
    if two := measures.accuracy:
        told["accuracy"] = Described(accuracy_result(two), share_range(two.low, two.high))
    if three := measures.capability:
        told["capability"] = Described(capability_result(three), drop_range(three.low, three.high))
    return told
