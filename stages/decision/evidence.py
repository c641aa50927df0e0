"""What the gates read out of the metrics files, checked before it is believed.

A metrics file may carry more than this; what a gate needs must be there, in range and consistent.
"""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stages.errors import InputError
from stages.files.record import broken_rules

Count = Annotated[int, Field(ge=0, strict=True)]
Share = Annotated[float, Field(ge=0, le=1)]
Difference = Annotated[float, Field(ge=-1, le=1)]
Positive = Annotated[float, Field(gt=0)]
LARGEST_ROUNDING = 1e-3  # a stored share may be rounded to three decimals, no further


class Evidence(BaseModel):
    """Frozen; keys that no gate needs are ignored, NaN is refused."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class DataEvidence(Evidence):
    """`validate` of metrics/validate.json."""

    ok: bool
    is_synthetic: bool


class ReviewPeriod(Evidence):
    """When the kept pairs were reviewed, as far as they tell: of `validate.audit`."""

    n_day_known: Annotated[Count, Field(ge=1)]
    reviewed_from: date
    reviewed_to: date

    @model_validator(mode="after")
    def days_are_in_order(self) -> "ReviewPeriod":
        """The first day is not after the last."""
        if self.reviewed_from > self.reviewed_to:
            raise ValueError(f"{self.reviewed_from} is after {self.reviewed_to}")
        return self


class Ceiling(Evidence):
    """How many labels a perfect reader could match, as shares; unknown where nothing was judged twice."""

    reason: str | None = None  # why it is unknown
    lowest: Share | None = None
    highest: Share | None = None


class SplitEvidence(Evidence):
    """`split` of metrics/split.json."""

    n_train: Count
    n_holdout: Count
    n_overlaps: Count
    split_sha256: str
    is_synthetic: bool
    holdout_ceiling: Ceiling = Ceiling()


class AccuracyEvidence(Evidence):
    """`holdout` of metrics/accuracy.json; `longer_wins` is the share that length alone gets right.

    Pairs that (nearly) all belong together have no interval, and no `n_eff`.
    """

    k: Count
    n: Annotated[Count, Field(ge=1)]
    n_components: Count | None = None
    low: Share | None = None
    high: Share | None = None
    longer_wins: Share
    n_synthetic: Count
    split_sha256: str
    n_eff: Positive | None = None  # what n is worth where pairs belong together; only to plan with

    @model_validator(mode="after")
    def numbers_agree(self) -> "AccuracyEvidence":
        """No more right than scored, and the share inside its interval."""
        if self.k > self.n:
            raise ValueError(f"{self.k} of {self.n} pairs cannot be right")
        if self.low is not None and self.high is not None:
            refuse_value_outside(self.low, self.k / self.n, self.high)
        elif self.n_components != 1 and (self.n_components is None or self.n_eff is not None):
            raise ValueError("low and high are missing, though the pairs do not all belong together")
        return self


class WinrateStatus(Evidence):
    """What `winrate` of metrics/winrate.json always has."""

    status: Literal["pending", "invalid", "complete"]
    study_id: str | None = None
    reason: str | None = None
    n_prompts: Count | None = None
    n_ballots_expected: Count
    n_ballots_received: Count
    n_synthetic: Count


class WinrateEvidence(WinrateStatus):
    """A complete win rate; `n` ballots count, and a tie is half a win."""

    value: Share
    low: Share
    high: Share
    wins: Count
    ties: Count
    losses: Count
    n: Annotated[Count, Field(ge=1)]
    n_star: Positive | None = None  # the size that the interval rests on, and its z; only to plan with
    z: Positive | None = None
    look: Count | None = None  # which of so many looks this is
    looks: Count | None = None
    min_share: Share | None = None  # the lines that the study was registered with, before anyone judged
    chance: Share | None = None
    remarks: str | None = None  # what the study says about its own soundness; changes no state

    @model_validator(mode="after")
    def numbers_agree(self) -> "WinrateEvidence":
        """Wins, ties and losses are the ballots, and give the value."""
        if self.wins + self.ties + self.losses != self.n:
            raise ValueError(f"{self.wins} wins, {self.ties} ties and {self.losses} losses are not {self.n}")
        if abs((2 * self.wins + self.ties) / (2 * self.n) - self.value) > LARGEST_ROUNDING:
            raise ValueError(f"the value {self.value} is not what the wins and ties give")
        refuse_value_outside(self.low, self.value, self.high)
        return self


class CapabilityStatus(Evidence):
    """What `capability` of metrics/capability.json always has."""

    same_questions: bool


class CapabilityEvidence(CapabilityStatus):
    """A measured drop, in shares of questions; a positive drop is worse."""

    drop: Difference
    low: Difference
    high: Difference
    high_two_sided: Difference
    n: Annotated[Count, Field(ge=1)]
    n_base_correct: Count
    n_policy_correct: Count
    n_discordant_worse: Count
    n_discordant_better: Count
    base_acc_low: Share
    at_floor: bool

    @model_validator(mode="after")
    def numbers_agree(self) -> "CapabilityEvidence":
        """The counts give the drop, and its bounds lie in order."""
        lost = self.n_discordant_worse - self.n_discordant_better
        if self.n_base_correct - self.n_policy_correct != lost:
            raise ValueError(f"the counts of right answers do not differ by {lost}")
        if max(self.n_base_correct, self.n_policy_correct) > self.n:
            raise ValueError(f"more right answers than the {self.n} questions")
        if abs(lost / self.n - self.drop) > LARGEST_ROUNDING:
            raise ValueError(f"the drop {self.drop} is not what the counts give")
        refuse_value_outside(self.low, self.drop, self.high)
        refuse_value_outside(self.drop, self.high, self.high_two_sided)
        return self


def refuse_value_outside(low: float, value: float, high: float) -> None:
    """ValueError unless low <= value <= high, but for rounding in the file."""
    if not low - LARGEST_ROUNDING <= value <= high + LARGEST_ROUNDING:
        raise ValueError(f"{value} does not lie between {low} and {high}")


class Problem(NamedTuple):
    """Why a metrics section cannot be believed, as one sentence."""

    sentence: str


Document = Mapping[str, Any] | InputError | None  # a file's content, why it is unreadable, or no file


Model = TypeVar("Model", bound=Evidence)


def parse_evidence(document: Document, section: str, model: type[Model]) -> Model | Problem | None:
    """The document's section as `model`, or the first reason why it cannot be used; None: no file."""
    if document is None:
        return None
    if isinstance(document, InputError):
        return Problem(f"{document}.")
    if not isinstance(document.get(section), Mapping):
        return Problem(f"The metrics have no part called {section}.")
    try:
        return model.model_validate(dict(document[section]))
    except ValidationError as error:
        first = broken_rules(error, section=section)[0]
        return Problem(f"{first.key} cannot be used: {first.rule}.")


def require_evidence(document: Document, section: str, model: type[Model]) -> Model | Problem:
    """`parse_evidence` where a missing file is a problem too."""
    parsed = parse_evidence(document, section, model)
    return Problem(f"The metrics file of {section} is missing.") if parsed is None else parsed


def parse_accuracy(document: Document) -> AccuracyEvidence | Problem | None:
    """The held-out accuracy; None where only the selection pairs were scored (size.n_holdout_scored 0)."""
    if isinstance(document, Mapping) and "holdout" not in document and "selection" in document:
        return None
    return parse_evidence(document, "holdout", AccuracyEvidence)


def parse_winrate(document: Document) -> WinrateEvidence | WinrateStatus | Problem | None:
    """The study's status, with its numbers where it is complete; a mere rehearsal is no study."""
    if isinstance(document, Mapping) and "winrate" not in document and "rehearsal" in document:
        rehearsal = parse_evidence(document, "rehearsal", WinrateStatus)
        return _only_rehearsed(rehearsal) if isinstance(rehearsal, WinrateStatus) else rehearsal
    status = parse_evidence(document, "winrate", WinrateStatus)
    if isinstance(status, WinrateStatus) and status.status == "complete":
        return parse_evidence(document, "winrate", WinrateEvidence)
    return status


def _only_rehearsed(rehearsal: WinrateStatus) -> WinrateStatus:
    """Made up whatever the data are, and without a single ballot that counts."""
    return WinrateStatus(
        status="pending",
        reason="Simulated editors have rehearsed the study; no editor has judged.",
        n_ballots_expected=rehearsal.n_ballots_expected,
        n_ballots_received=0,
        n_synthetic=max(rehearsal.n_synthetic, 1),
    )


def parse_capability(document: Document) -> CapabilityEvidence | CapabilityStatus | Problem | None:
    """The drop, or a bare status where the two models were not asked the same questions."""
    status = parse_evidence(document, "capability", CapabilityStatus)
    if isinstance(status, CapabilityStatus) and status.same_questions:
        return parse_evidence(document, "capability", CapabilityEvidence)
    return status
