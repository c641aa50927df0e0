"""What the probe says beside a verdict: a warning in plain words where a number moved too far.

It changes no state. A number has moved too far where it is beyond its limit and its interval
excludes no change at all, so that one prompt more or less warns nobody.
"""

from fractions import Fraction
from typing import Annotated, NamedTuple

from pydantic import Field

from stages.decision.evidence import Count, Document, Evidence, Problem, Share, parse_evidence
from stages.decision.wording import in_hundred, listed
from stages.files.json_text import as_written

SECTION = "probe"


class ProbeLimits(NamedTuple):
    """How far each number may move, as shares; positive is worse."""

    max_perplexity_rise: Fraction
    max_repetition_rise: Fraction
    max_following_drop: Fraction


class Moved(Evidence):
    """A difference of policy and base with its interval."""

    value: float
    low: float
    high: float


class Followed(Evidence):
    """How many instructions a model followed."""

    n_followed: Count
    repetition: Share


class ProbeStatus(Evidence):
    """What `probe` of metrics/probe.json always has."""

    same_items: bool


class ProbeEvidence(ProbeStatus):
    """The probe's differences."""

    n_texts: Annotated[Count, Field(ge=1)]
    n_prompts: Annotated[Count, Field(ge=1)]
    base: Followed
    policy: Followed
    perplexity_rise: Moved
    repetition_rise: Moved
    following_drop: Moved


def warn(document: Document, limits: ProbeLimits) -> str:
    """Sentences for the verdict, or nothing: also where the probe was not run."""
    status = parse_evidence(document, SECTION, ProbeStatus)
    if isinstance(status, ProbeStatus) and not status.same_items:
        return "Side check: the two models were not probed in the same way, so it says nothing."
    evidence = parse_evidence(document, SECTION, ProbeEvidence)
    if evidence is None:
        return ""
    if isinstance(evidence, Problem):
        return f"Side check: it cannot be used. {evidence.sentence}"
    found = list_moves(evidence, limits)
    return f"Side check on general behaviour: {listed(found)}." if found else ""


def list_moves(evidence: ProbeEvidence, limits: ProbeLimits) -> list[str]:
    """One clause for each number that moved too far."""
    found = []
    if is_beyond(evidence.perplexity_rise, limits.max_perplexity_rise):
        found.append(
            f"ordinary text surprises the new model {_range(evidence.perplexity_rise)} in 100 more than the "
            f"starting model, over {evidence.n_texts} texts (limit {in_hundred(limits.max_perplexity_rise)})"
        )
    if is_beyond(evidence.repetition_rise, limits.max_repetition_rise):
        found.append(
            f"it repeats itself more, by {_range(evidence.repetition_rise)} in 100 runs of four words "
            f"(limit {in_hundred(limits.max_repetition_rise)})"
        )
    if is_beyond(evidence.following_drop, limits.max_following_drop):
        followed = f"{evidence.policy.n_followed} of {evidence.n_prompts} simple instructions"
        found.append(
            f"it follows {followed}, the starting model {evidence.base.n_followed} "
            f"(limit {in_hundred(limits.max_following_drop)} in 100 fewer)"
        )
    return found


def is_beyond(moved: Moved, limit: Fraction) -> bool:
    """Beyond the limit, and certainly not unchanged."""
    return as_written(moved.value) > limit and moved.low > 0


def _range(moved: Moved) -> str:
    low, value, high = (in_hundred(as_written(end)) for end in (moved.low, moved.value, moved.high))
    return f"{value} (likely {low} to {high})"
