"""metrics/gate.json as it is read back: by the table, the founder's page and comparisons."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from stages.decision.findings import State
from stages.files.record import first_problem

GateName = Literal["accuracy", "winrate", "capability"]
GATE_NAMES: tuple[GateName, ...] = ("accuracy", "winrate", "capability")


class StoredVerdict(BaseModel):
    """One gate; numbers are shares, and absent where nothing was measured."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    state: State
    literal_met: Literal["met", "not met", "not measured"]
    reasons: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None


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
