"""JSON text to plain values, more strictly than the standard library: no key twice, no infinity."""

import json
import math
from fractions import Fraction
from typing import Any


def dump_json(value: object, *, indent: int | None = None) -> str:
    """The spelling of a JSON file: sorted keys, real characters, NaN refused (ValueError)."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=indent)


def parse_json(text: str) -> Any:
    """One JSON value. ValueError, in words, for whatever is none."""
    try:
        value = json.loads(
            text,
            parse_constant=refuse_constant,
            parse_float=_finite,
            object_pairs_hook=refuse_repeated_keys,
        )
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    if "\\ud" in text.lower():
        _refuse_half_characters(value)
    return value


def refuse_constant(name: str) -> Any:
    """NaN and Infinity are no JSON, but Python reads them."""
    raise ValueError(f"{name} is not a number")


def refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON readers keep the last of two values in silence."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        twice = next(name for place, (name, _) in enumerate(pairs) if name in dict(pairs[:place]))
        raise ValueError(f"it names {twice[:40]!r} twice")
    return fields


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:40]} is too large a number")
    return number


def _refuse_half_characters(value: Any) -> None:
    r"""An escape such as \ud83d alone is half of a character, which no file can hold."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"it holds half of a character ({error.object[error.start]!r})") from error


def canonical_json(value: object) -> str:
    """The spelling page and pipeline share: sorted keys, no spaces, real characters."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def as_written(number: float) -> Fraction:
    """The decimal that stands in a file, exactly: 0.68 is 17/25, not its nearest binary number."""
    return Fraction(repr(number))
