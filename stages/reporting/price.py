"""What twice the pairs would cost in hours of an editor, and what doublings brought so far."""

from typing import Annotated

from pydantic import Field

from stages.decision.evidence import Difference, Document, Evidence, Problem, parse_evidence
from stages.decision.wording import count, in_hundred, rounded
from stages.files.json_text import as_written
from stages.reporting.coverage import Coverage

MINUTES_IN_HOUR = 60


class Gain(Evidence):
    """The gain of a doubling; without a range where it has none."""

    low: Difference | None = None
    high: Difference | None = None


class CurveEvidence(Evidence):
    """`curve` of data/curve/curve.json."""

    is_told: bool
    helps: bool
    n_pairs: Annotated[int, Field(ge=1)]
    split_sha256: str
    average: Gain
    last: Gain


def say_price(document: Document, coverage: Coverage) -> str:
    """A few sentences; "" without a curve, and with one of another split. ValueError where it is broken."""
    curve = parse_evidence(document, "curve", CurveEvidence)
    if isinstance(curve, Problem):
        raise ValueError(curve.sentence)
    if curve is None or curve.split_sha256 != coverage.split_sha256:
        return ""
    hours = curve.n_pairs * as_written(coverage.minutes_per_view) / MINUTES_IN_HOUR
    price = (
        f"As many pairs again, {count(curve.n_pairs)}, take an editor about {rounded(hours, places=0)} hours."
    )
    average, last = _say(curve.average), _say(curve.last)
    if not curve.is_told or average is None or last is None:
        return f"We cannot tell yet if more pairs would help. {price}"
    verdict = "More pairs would help." if curve.helps else "It is not shown that more pairs would help."
    gain = f"{average} of 100 choices come out right, the last one {last}"
    brought = f"On average a doubling of the pairs made {gain}."
    return f"{verdict} {brought} {price}"


def _say(gain: Gain) -> str | None:
    if gain.low is None or gain.high is None:
        return None
    ends = [as_written(end) for end in (gain.low, gain.high)]
    return " to ".join(f"{in_hundred(abs(end))} {'more' if end >= 0 else 'fewer'}" for end in ends)
