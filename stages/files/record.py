"""The base of every row that travels between stages, and of names that become file names."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

ShortName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


class Record(BaseModel):
    """A frozen row: unknown keys are refused, NaN and infinity are no numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
