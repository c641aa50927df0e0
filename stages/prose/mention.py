"""One figure or name of a text in its normal form."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Literal, NamedTuple, get_args

Kind = Literal["figure", "words", "money", "percentage", "date", "year", "name"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Day(NamedTuple):
    """A date as far as it is given; `weekday` counts from Monday, 1."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    weekday: int | None = None


class Mention(NamedTuple):
    """What stands at `text[start:end]`; only what its kind needs is filled.

    `value` is the number of a figure, a count in words, a year, a sum (in the currency `unit`) or a
    percentage, `slack` how far a named fraction may be off (a third: 33 %). `days` are the readings of a
    date: 3/4/2025 has two. `words` are a name's own, or the digits of a telephone, a clock or a decade.
    """

    kind: Kind
    start: int
    end: int
    value: Fraction | None = None
    unit: str = ""
    slack: Fraction = Fraction(0)
    days: tuple[Day, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def fact(self) -> tuple[object, ...]:
        """What two mentions of one thing share: `12` and `twelve` are one."""
        return ("figure" if self.kind == "words" else self.kind, self.value, self.unit, self.days, self.words)


def one_of(words: Iterable[str]) -> str:
    """A pattern for any of the words, the longest first."""
    return f"(?:{'|'.join(sorted(words, key=len, reverse=True))})"
