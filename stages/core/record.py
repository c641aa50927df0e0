"""The base of every row that travels between stages."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen row: unknown keys are refused, NaN and infinity are no numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
