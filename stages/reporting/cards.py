"""One card a test: its question, a large number with its counts, a bar against the line, a verdict and why.

What another module has to say about a test goes into `notes`, one sentence each, under the card's bar.
"""

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from stages.decision.evidence import AccuracyEvidence, CapabilityEvidence, WinrateEvidence
from stages.decision.findings import SYMBOLS, Limits, State, name_floor, points
from stages.decision.judge import SYNTHETIC
from stages.decision.verdicts import GateName, StoredGates, StoredVerdict
from stages.decision.wording import count, in_hundred, listed
from stages.files.json_text import as_written
from stages.reporting.bars import Bar, draw_change, draw_share
from stages.reporting.coverage import Measures

TESTS: dict[GateName, str] = {
    "winrate": "Blind test",
    "accuracy": "Our editors’ taste",
    "capability": "General knowledge",
}
QUESTIONS: dict[GateName, str] = {
    "winrate": "Do our editors like its texts better, not knowing which model wrote them?",
    "accuracy": "Of two texts it has never seen, did it move towards the one our editors chose?",
    "capability": "Did it forget things that the starting model knows?",
}
NOT_MEASURED = "Not measured yet."
UNUSABLE = "There is a number, and it means nothing until the check holds, so it is not shown."
NO_FOUNDERS_WORDS = re.compile(r"[`/_]|\.json|--")  # a command, a path, a key: for who runs the project
UNREADABLE = "The results of this test cannot be read."


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
    "pass": Badge("Passed, narrowly", SYMBOLS["pass"], "pass"),
    "confirmed": Badge("Passed clearly", SYMBOLS["confirmed"], "confirmed"),
}


class Number(NamedTuple):
    """A result in large type, what it counts, and the counts of the same whole."""

    figure: str
    unit: str
    counts: str


class Card(NamedTuple):
    """One test. `number` and `bar` are None where nothing was measured or the number does not hold."""

    name: GateName
    test: str
    question: str
    badge: Badge
    number: Number | None
    bar: Bar | None
    why: str
    notes: Sequence[str]


def write_cards(
    gates: StoredGates,
    measures: Measures,
    limits: Limits,
    *,
    study_reason: str,
    notes: Mapping[GateName, Sequence[str]],
) -> list[Card]:
    """The three cards in the page's order; `study_reason` is how the study itself says what it waits for."""
    verdicts = gates.named()
    return [
        Card(
            name=name,
            test=test,
            question=QUESTIONS[name],
            badge=BADGES[verdicts[name].state],
            number=_number(name, measures) if verdicts[name].state != "invalid" else None,
            bar=_bar(name, verdicts[name], limits) if verdicts[name].state != "invalid" else None,
            why=explain(
                name, verdicts[name], measures, limits, said_elsewhere=[study_reason, *notes.get(name, ())]
            ),
            notes=[*_own_notes(name, verdicts[name], measures), *_usable_notes(name, verdicts[name], notes)],
        )
        for name, test in TESTS.items()
    ]


def explain(
    name: GateName,
    verdict: StoredVerdict,
    measures: Measures,
    limits: Limits,
    *,
    said_elsewhere: Sequence[str],
) -> str:
    """Why the verdict is what it is, without a number that the card already shows."""
    reasons = verdict.reasons
    for part in (*said_elsewhere, measures.winrate.remarks if measures.winrate else None, SYNTHETIC):
        reasons = reasons.replace(part or "", "") if part else reasons
    reasons = " ".join(reasons.split())
    if verdict.state in ("invalid", "pending"):
        said = UNREADABLE if NO_FOUNDERS_WORDS.search(reasons) else reasons
        return (
            f"{said} {UNUSABLE if verdict.state == 'invalid' and verdict.value is not None else ''}".strip()
        )
    if name == "capability":
        floor = name_floor(measures.capability, limits.capability) if measures.capability else []
        return (
            " ".join(floor) if floor and verdict.state == "inconclusive" else _explain_change(verdict, limits)
        )
    if verdict.low is None:
        return reasons
    if verdict.state == "confirmed":
        return "Clear: even the low end of the bar is above the target."
    if verdict.state == "pass":
        return "Narrow: the result is above the target, but the bar reaches down to it or below."
    if verdict.state == "fail":
        return "Even the high end of the bar is below the target."
    return _explain_open_share(name, verdict, measures, limits)


def _usable_notes(
    name: GateName, verdict: StoredVerdict, notes: Mapping[GateName, Sequence[str]]
) -> Sequence[str]:
    return notes.get(name, ()) if verdict.state != "invalid" else ()


def _explain_open_share(name: GateName, verdict: StoredVerdict, measures: Measures, limits: Limits) -> str:
    if verdict.literal_met != "met":
        return "The result is not above the target, but the bar still reaches it."
    chance = limits.winrate.chance if name == "winrate" else limits.accuracy.chance
    bars = {"a coin toss": chance}
    if name == "accuracy" and measures.accuracy:
        bars["a rule that only looks at length"] = as_written(measures.accuracy.longer_wins)
    low = as_written(verdict.low or 0.0)
    left = listed([bar for bar, share in bars.items() if low <= share], conjunction="or")
    return f"The result is above the target, but the bar does not rule out that {left} does as well."


def _explain_change(verdict: StoredVerdict, limits: Limits) -> str:
    strict = points(limits.capability.confirmed_drop)
    if verdict.state == "confirmed":
        return f"Clear: a loss of {strict} or more can be ruled out."
    if verdict.state == "pass":
        is_beyond_bar = (
            verdict.high is not None and as_written(verdict.high) < limits.capability.confirmed_drop
        )
        surely = " with the certainty that a clear pass needs" if is_beyond_bar else ""
        return f"Narrow: the bar stays within the limit, but a loss of {strict} cannot be ruled out{surely}."
    if verdict.state == "fail":
        return "Even the better end of the bar is beyond the limit."
    side = "within" if verdict.literal_met == "met" else "beyond"
    return f"The result is {side} the limit, but the bar reaches to both sides of it."


def _own_notes(name: GateName, verdict: StoredVerdict, measures: Measures) -> list[str]:
    if verdict.state == "invalid":
        return []
    if name == "accuracy" and measures.accuracy:
        return [
            f"A rule that only looks at length gets {in_hundred(as_written(measures.accuracy.longer_wins))}."
        ]
    return (
        [measures.winrate.remarks]
        if name == "winrate" and measures.winrate and measures.winrate.remarks
        else []
    )


def _number(name: GateName, measures: Measures) -> Number | None:
    if name == "winrate":
        return _count_judgements(measures.winrate) if measures.winrate else None
    if name == "accuracy":
        return _count_pairs(measures.accuracy) if measures.accuracy else None
    return _count_answers(measures.capability) if measures.capability else None


def _count_judgements(one: WinrateEvidence) -> Number:
    share = Fraction(2 * one.wins + one.ties, 2 * one.n)
    counts = (
        f"{count(one.wins)} better, {count(one.ties)} equal, {count(one.losses)} worse, of {count(one.n)}"
    )
    return Number(
        in_hundred(share), "of 100 judgements went to the new model, an equal one being half", counts
    )


def _count_pairs(one: AccuracyEvidence) -> Number:
    return Number(in_hundred(Fraction(one.k, one.n)), "of 100 pairs", f"{count(one.k)} of {count(one.n)}")


def _count_answers(one: CapabilityEvidence) -> Number:
    drop = Fraction(one.n_base_correct - one.n_policy_correct, one.n)
    figure = in_hundred(abs(drop))
    unit = "point" if figure == "1" else "points"
    way = "of difference" if figure == "0" else "lower" if drop > 0 else "higher"
    counts = f"{count(one.n_policy_correct)} of {count(one.n)} right, was {count(one.n_base_correct)}"
    return Number(figure, f"{unit} {way}", counts)


def _bar(name: GateName, verdict: StoredVerdict, limits: Limits) -> Bar | None:
    """The gate's interval against its line, or None where nothing was measured."""
    if verdict.value is None:
        return None
    if name == "capability":
        if verdict.low is None or verdict.high is None:
            return None
        limit = limits.capability.max_drop
        between = f"from {_direction(verdict.low)} to {_direction(verdict.high)}"
        alt = f"{_direction(verdict.value)}, likely {between}. The limit is {points(limit)} lower."
        return draw_change(verdict.value, verdict.low, verdict.high, limit=limit, alt=alt)
    lines = limits.accuracy if name == "accuracy" else limits.winrate
    between = "how far off that may be cannot be told"
    if verdict.low is not None and verdict.high is not None:
        low, high = in_hundred(as_written(verdict.low)), in_hundred(as_written(verdict.high))
        between = f"likely between {low} and {high}"
    alt = (
        f"{in_hundred(as_written(verdict.value))} of 100, {between}. "
        f"The target is more than {in_hundred(lines.min_share)}."
    )
    return draw_share(
        verdict.value, verdict.low, verdict.high, target=lines.min_share, chance=lines.chance, alt=alt
    )


def _direction(drop: float) -> str:
    share = as_written(drop)
    if in_hundred(abs(share)) == "0":
        return "no change"
    return f"{points(abs(share))} {'lower' if share > 0 else 'higher'}"
