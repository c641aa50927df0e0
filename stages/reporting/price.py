"""What twice the pairs would cost in hours of an editor, and what doublings brought so far."""

from typing import Annotated

from pydantic import Field

from stages.decision.evidence import Difference, Document, Evidence, Problem, parse_evidence
from stages.decision.wording import count, in_hundred, rounded
from stages.files.json_text import as_written
from stages.reporting.coverage import Coverage

MINUTES_IN_HOUR = 60


class AverageGain(Evidence):
    """The average gain of a doubling; without a range where it has none."""

    low: Difference | None = None
    high: Difference | None = None


class CurveEvidence(Evidence):
    """`curve` of data/curve/curve.json."""

    is_told: bool
    helps: bool
    n_pairs: Annotated[int, Field(ge=1)]
    split_sha256: str
    average: AverageGain


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
    low, high = curve.average.low, curve.average.high
    if not curve.is_told or low is None or high is None:
        return f"We cannot tell yet if more pairs would help. {price}"
    verdict = "More pairs would help." if curve.helps else "It is not shown that more pairs would help."
    brought = f"Each time the pairs doubled, {_say(low)} to {_say(high)} of 100 choices came out right."
    return f"{verdict} {brought} {price}"


def _say(gain: float) -> str:
    share = as_written(gain)
    return f"{in_hundred(abs(share))} {'more' if share >= 0 else 'fewer'}"
