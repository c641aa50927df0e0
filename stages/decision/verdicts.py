"""metrics/gate.json as it is read back: by the table, the founder's page and comparisons."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stages.decision.evidence import Difference
from stages.decision.findings import State
from stages.decision.judge import judge_overall
from stages.files.record import first_problem

LARGEST_COUNT = 10**12  # nobody counts more pairs, judgements or questions
GateName = Literal["accuracy", "winrate", "capability"]
GATE_NAMES: tuple[GateName, ...] = ("accuracy", "winrate", "capability")


class StoredVerdict(BaseModel):
    """One gate; numbers are shares, and absent where nothing was measured."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    state: State
    literal_met: Literal["met", "not met", "not measured"]
    reasons: str
    value: Difference | None = None
    low: Difference | None = None
    high: Difference | None = None
    n: Annotated[int, Field(ge=0, le=LARGEST_COUNT)] | None = None


class StoredOverall(BaseModel):
    """The state of all three gates together."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: State


class StoredGates(BaseModel):
    """The part `gate` of metrics/gate.json."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    accuracy: StoredVerdict
    winrate: StoredVerdict
    capability: StoredVerdict
    overall: StoredOverall
    warnings: str | None = None  # sentences that stand beside the verdicts and change none

    @model_validator(mode="after")
    def overall_is_that_of_the_gates(self) -> "StoredGates":
        """The state of all is the first of the order that a gate has."""
        wanted = judge_overall(verdict.state for verdict in self.named().values())
        if self.overall.state != wanted:
            raise ValueError(f"overall is {self.overall.state}, and the gates make it {wanted}")
        return self

    def named(self) -> dict[GateName, StoredVerdict]:
        """The three gates in the order in which they are always shown."""
        return {"accuracy": self.accuracy, "winrate": self.winrate, "capability": self.capability}


def is_usable(verdict: StoredVerdict) -> bool:
    """Was it measured, and nothing found that makes the number meaningless?"""
    return verdict.value is not None and verdict.state != "invalid"


def parse_gates(document: Mapping[str, Any]) -> StoredGates:
    """The verdicts; ValueError naming the first key that is not what `gate` writes."""
    try:
        return StoredGates.model_validate(document.get("gate"))
    except ValidationError as error:
        raise ValueError(first_problem(error, section="gate")) from error
