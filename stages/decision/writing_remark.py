"""What `writing` says beside a verdict: a remark where the new model clearly makes up more.

It changes no state. One number decides it, fixed beforehand: all unsupported mentions a 100 words.
"""

from fractions import Fraction
from typing import Annotated

from pydantic import Field

from stages.decision.evidence import Count, Document, Evidence, Problem, parse_evidence
from stages.decision.wording import count, plural, rounded
from stages.files.json_text import as_written

SECTION = "writing"
NOT_CHECKED = "Made-up facts: not checked."


class WritingStatus(Evidence):
    """What `writing` of metrics/writing.json always has."""

    checked: bool
    n_prompts: Count
    n_other_language: Count
    n_empty: Count


class Counted(Evidence):
    """What one model's texts hold."""

    n_unsupported: Count
    n_words: Annotated[Count, Field(ge=1)]


class Rate(Evidence):
    """Unsupported mentions a 100 words in both models; policy minus base with its 95 % interval."""

    base: Annotated[float, Field(ge=0)]
    policy: Annotated[float, Field(ge=0)]
    difference: float
    low: float
    high: float


class WritingEvidence(WritingStatus):
    """Both models' texts, read."""

    base: Counted
    policy: Counted
    unsupported_per_100_words: Rate


Writing = WritingEvidence | WritingStatus | Problem | None


def parse_writing(document: Document) -> Writing:
    """The numbers, or a bare status where the texts could not be read."""
    status = parse_evidence(document, SECTION, WritingStatus)
    if isinstance(status, WritingStatus) and status.checked:
        return parse_evidence(document, SECTION, WritingEvidence)
    return status


def remark(writing: Writing, max_rise: Fraction) -> str:
    """Sentences for the verdict, or nothing: also where `writing` was not run.

    The rise must be beyond the limit and the lower end of its two-sided 95 % interval above zero, which is a
    one-sided test at 2.5 %.
    """
    if writing is None:
        return ""
    if isinstance(writing, Problem):
        return f"{NOT_CHECKED} {writing.sentence}"
    if not isinstance(writing, WritingEvidence):
        return f"{NOT_CHECKED} {name_left_out(writing) or 'There are too few texts.'}"
    rate = writing.unsupported_per_100_words
    if rate.low <= 0 or as_written(rate.difference) <= max_rise:
        return ""
    limit = f"limit {rounded(max_rise, places=2)}"
    return f"The new model makes up more. {count_made_up(writing)} {say_change(rate, limit)}"


def count_made_up(writing: WritingEvidence) -> str:
    """How many made-up figures and names stand in both models' texts."""
    now, before = count(writing.policy.n_unsupported), count(writing.base.n_unsupported)
    return (
        f"Its texts for {plural(writing.n_prompts, 'task')} hold {now} figures, dates or names that the task "
        f"did not give. The starting model’s hold {before}."
    )


def say_change(rate: Rate, more: str = "") -> str:
    """The difference in 100 words with its range, in words that tell more from fewer."""
    ends = f"likely from {_direction(rate.low)} to {_direction(rate.high)}"
    return f"That is {_direction(rate.difference)} in 100 words ({ends}{more and '; '}{more})."


def name_left_out(status: WritingStatus) -> str:
    """Which tasks could not be checked, as a sentence, or nothing."""
    reasons = [
        (status.n_other_language, "not in English"),
        (status.n_empty, "without words in one of the answers"),
    ]
    return " ".join(f"{plural(n, 'task')} {why} could not be checked." for n, why in reasons if n)


def _direction(value: float) -> str:
    shown = rounded(abs(as_written(value)), places=1)
    return "no more" if shown == "0" else f"{shown} {'more' if value > 0 else 'fewer'}"
