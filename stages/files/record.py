"""The base of every row that travels between stages, names that become file names, and what does not fit."""

from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.files.yaml_text import show

ShortName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


class Record(BaseModel):
    """A frozen row: unknown keys are refused, NaN and infinity are no numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class BrokenRule(NamedTuple):
    """A dotted key ("" is the whole), the rule, `, got ...` or nothing, and pydantic's name of the rule."""

    key: str
    rule: str
    came: str
    kind: str


def broken_rules(error: ValidationError, *, section: str | None = None) -> list[BrokenRule]:
    """What pydantic found, in words; `section` is the key under which the checked value stands."""
    return [
        BrokenRule(
            ".".join(map(str, [*([section] if section else []), *one["loc"]])),
            one["msg"].removeprefix("Value error, "),
            "" if isinstance(one["input"], dict | BaseModel) else f", got {show(one['input'])}",
            one["type"],
        )
        for one in error.errors(include_url=False)
    ]


def first_problem(error: ValidationError, *, section: str | None = None) -> str:
    """The first key that does not fit, the rule and what came."""
    first = broken_rules(error, section=section)[0]
    return f"{first.key or 'the row'}: {first.rule}{first.came}"
