"""The base of every row that travels between stages, names that become file names, and what does not fit."""

import re
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from stages.files.yaml_text import show


def refuse_no_short_name(name: str) -> str:
    """Refuse what could be markup, a path, or longer than a file's name may be."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", name):
        raise ValueError(
            "becomes a file's name, so it has 1 to 32 of a-z, 0-9, - and _; shorten or respell it"
        )
    return name


ShortName = Annotated[str, AfterValidator(refuse_no_short_name)]


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
