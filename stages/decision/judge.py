"""The verdicts: one state per gate, the first that holds, and one overall.

The literal rules of the brief are compared as whole numbers against exact fractions; what the
intervals say is in findings.py.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple

from stages.decision.data_facts import DataFacts
from stages.decision.evidence import (
    AccuracyEvidence,
    CapabilityEvidence,
    CapabilityStatus,
    Problem,
    WinrateEvidence,
    WinrateStatus,
)
from stages.decision.findings import (
    DropLimits,
    Finding,
    ShareLimits,
    State,
    find_drop,
    find_share,
    name_floor,
)
from stages.decision.wording import count, in_hundred
from stages.files.json_text import as_written

LiteralMet = Literal["met", "not met", "not measured"]

OVERALL_ORDER: tuple[State, ...] = ("invalid", "fail", "pending", "inconclusive", "pass", "confirmed")
SYNTHETIC = "The pairs, prompts or ballots are made up (marked synthetic), so this is only a rehearsal."

NO_RANGE = (
    "All scored pairs, or nearly all, are of one group, so nothing shows how far the result may be off."
)


class Verdict(NamedTuple):
    """One gate: its state, the brief's own rule beside it, and what was measured, as shares."""

    state: State
    literal_met: LiteralMet
    reasons: tuple[str, ...]
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    high_two_sided: float | None = None


def judge_accuracy(
    evidence: AccuracyEvidence | Problem | None, facts: DataFacts, *, limits: ShareLimits
) -> Verdict:
    """Held-out gate; None means not run. Literal rule: k > min_share x n."""
    if evidence is None:
        return unmeasured("pending", "The held-out pairs have not been scored.")
    if isinstance(evidence, Problem):
        return unmeasured("invalid", evidence.sentence)
    is_met = evidence.k > limits.min_share * evidence.n
    invalid = [*facts.problems, *facts.leaks]
    if evidence.split_sha256 != facts.split_sha256:
        invalid.append("The scores belong to another split of the pairs than the present one.")
    if evidence.n > facts.n_holdout:
        invalid.append(
            f"{count(evidence.n)} pairs were scored, but only {count(facts.n_holdout)} are held out."
        )
    pending = []
    if evidence.n < facts.n_holdout:
        pending.append(
            f"Only {count(evidence.n)} of the {count(facts.n_holdout)} held-out pairs were scored."
        )
    if facts.is_synthetic or evidence.n_synthetic:
        pending.append(SYNTHETIC)
    bars = {
        "a coin toss": limits.chance,
        "a rule that only looks at length": as_written(evidence.longer_wins),
    }
    if evidence.low is None or evidence.high is None:
        finding = Finding("inconclusive", (NO_RANGE,))
    else:
        finding = find_share(
            is_met, as_written(evidence.low), as_written(evidence.high), target=limits.min_share, bars=bars
        )
    state, reasons = _first_that_holds(invalid, pending, finding)
    if facts.ceiling and not invalid:
        reasons = (*reasons, facts.ceiling)
    value = evidence.k / evidence.n
    return Verdict(state, _literal(is_met), reasons, value, evidence.low, evidence.high, evidence.n)


def judge_winrate(
    evidence: WinrateEvidence | WinrateStatus | Problem | None, facts: DataFacts, *, limits: ShareLimits
) -> Verdict:
    """Blind-study gate; a bare status means no win rate. Literal rule: 2w + t > min_share x 2n."""
    if evidence is None:
        return unmeasured("pending", "The blind study has not been opened.")
    if isinstance(evidence, Problem):
        return unmeasured("invalid", evidence.sentence)
    invalid = [*facts.problems, *facts.leaks]
    if evidence.study_id and facts.study_id and evidence.study_id != facts.study_id:
        invalid.append("The blind study judged other texts than the present ones.")
    if evidence.status == "invalid":
        invalid.append("The blind study does not fit its own seal.")
    pending = _winrate_pending(evidence, facts)
    said = [evidence.reason] if evidence.reason and evidence.status != "complete" else []
    if not isinstance(evidence, WinrateEvidence):
        state: State = "invalid" if invalid else "pending"
        return unmeasured(state, *(invalid or pending), *said)
    invalid += moved_lines(evidence, limits)
    is_met = 2 * evidence.wins + evidence.ties > limits.min_share * 2 * evidence.n
    finding = find_share(
        is_met,
        as_written(evidence.low),
        as_written(evidence.high),
        target=limits.min_share,
        bars={"a coin toss": limits.chance},
    )
    state, reasons = _first_that_holds(invalid, pending, finding)
    if evidence.remarks:
        reasons = (*reasons, evidence.remarks)
    return Verdict(state, _literal(is_met), reasons, evidence.value, evidence.low, evidence.high, evidence.n)


def moved_lines(evidence: WinrateEvidence, limits: ShareLimits) -> Iterator[str]:
    """The lines that were drawn anew after the study was registered: a result must not choose its own."""
    lines = (("target", evidence.min_share, limits.min_share), ("chance", evidence.chance, limits.chance))
    for name, registered, now in lines:
        sealed = now if registered is None else as_written(registered)
        if sealed != now:
            then, today = in_hundred(sealed, apart_from=now), in_hundred(now, apart_from=sealed)
            yield (
                f"The blind study was registered with a {name} of {then} in 100, and limits.winrate has "
                f"{today}; put the registered one back."
            )


def judge_capability(
    evidence: CapabilityEvidence | CapabilityStatus | Problem | None, facts: DataFacts, *, limits: DropLimits
) -> Verdict:
    """General knowledge. Literal rule: base-only right minus policy-only right <= max_drop x n."""
    if evidence is None:
        return unmeasured("pending", "The questions have not been put to both models.")
    if isinstance(evidence, Problem):
        return unmeasured("invalid", evidence.sentence)
    invalid = list(facts.problems)
    if not evidence.same_questions:
        invalid.append("The two models were not asked the same questions in the same way.")
    if not isinstance(evidence, CapabilityEvidence):
        return unmeasured("invalid", *(invalid or ["The general questions gave no numbers."]))
    lost = evidence.n_discordant_worse - evidence.n_discordant_better
    is_met = lost <= limits.max_drop * evidence.n
    floor = name_floor(evidence, limits)
    pending = []
    if evidence.n < limits.min_questions:
        pending.append(f"Only {count(evidence.n)} of the {count(limits.min_questions)} questions were asked.")
    if facts.is_synthetic:
        pending.append(SYNTHETIC)
    finding = find_drop(is_met, evidence, limits, floor=floor)
    state, reasons = _first_that_holds(invalid, pending and [*pending, *floor], finding)
    return Verdict(
        state,
        _literal(is_met),
        reasons,
        value=lost / evidence.n,
        low=evidence.low,
        high=evidence.high,
        n=evidence.n,
        high_two_sided=evidence.high_two_sided,
    )


def judge_overall(states: Iterable[State]) -> State:
    """The first of OVERALL_ORDER among the gates: a measured failure outranks missing ballots."""
    found = set(states)
    return next(state for state in OVERALL_ORDER if state in found)


def summarize_gates(*, accuracy: Verdict, winrate: Verdict, capability: Verdict) -> dict[str, dict[str, Any]]:
    """The verdicts as plain data; what was not measured is left out, because DVC drops nulls."""
    gates = {"accuracy": accuracy, "winrate": winrate, "capability": capability}
    return {
        **{name: _plain(verdict) for name, verdict in gates.items()},
        "overall": {"state": judge_overall(verdict.state for verdict in gates.values())},
    }


def unmeasured(state: State, *reasons: str) -> Verdict:
    """A gate without numbers."""
    return Verdict(state, "not measured", reasons)


def _winrate_pending(evidence: WinrateStatus, facts: DataFacts) -> list[str]:
    pending = []
    if evidence.status == "pending" or evidence.n_ballots_received < evidence.n_ballots_expected:
        received, expected = evidence.n_ballots_received, evidence.n_ballots_expected
        pending.append(
            f"{count(received)} of the {count(expected)} ballots are in."
            if received < expected
            else "The blind study is not closed yet."
        )
    if facts.is_synthetic or evidence.n_synthetic:
        pending.append(SYNTHETIC)
    return pending


def _first_that_holds(
    invalid: list[str], pending: list[str], finding: Finding
) -> tuple[State, tuple[str, ...]]:
    if invalid:
        return "invalid", tuple(invalid)
    if pending:
        return "pending", tuple(pending)
    return finding


def _plain(verdict: Verdict) -> dict[str, Any]:
    fields = {key: value for key, value in verdict._asdict().items() if value is not None}
    return {**fields, "reasons": " ".join(verdict.reasons)}


def _literal(is_met: bool) -> LiteralMet:
    return "met" if is_met else "not met"
