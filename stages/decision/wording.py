"""Numbers as people say them: exact counts first, shares as so many in a hundred."""

from collections.abc import Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

MOST_DECIMALS = 6
SMALL_NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def count(number: int) -> str:
    """A whole number with thousands marked: 14,042."""
    return f"{number:,}"


def in_words(number: int) -> str:
    """A small count as a word (`three`), any other in digits."""
    return SMALL_NUMBERS[number] if 0 <= number < len(SMALL_NUMBERS) else count(number)


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    """A count with its noun: `1 pair`, `300 pairs`."""
    return f"{count(number)} {noun if number == 1 else nouns or noun + 's'}"


def times(number: int) -> str:
    """`once`, `2 times`."""
    return "once" if number == 1 else f"{count(number)} times"


def rounded(value: Fraction, *, places: int = 1) -> str:
    """At most `places` decimals, rounded half up, no zeros at the end: 68.3, 68, -0.5."""
    decimal = Decimal(value.numerator) / Decimal(value.denominator)
    text = f"{decimal.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP):f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def in_hundred(share: Fraction, *, apart_from: Fraction | None = None) -> str:
    """A share in [0, 1] as so many in a hundred, without unit: 0.683 is `68.3`.

    Where rounding would make it look equal to `apart_from`, more decimals are given.
    """
    places = 1
    while places < MOST_DECIMALS and share != apart_from and apart_from is not None:
        if rounded(share * 100, places=places) != rounded(apart_from * 100, places=places):
            break
        places += 1
    return rounded(share * 100, places=places)


def percent_of(k: int, n: int, nouns: str) -> str:
    """A percentage never stands without its count: `205 of 300 pairs (68.3 %)`."""
    return f"{count(k)} of {count(n)} {nouns} ({in_hundred(Fraction(k, n))}\N{NARROW NO-BREAK SPACE}%)"


def listed(words: Sequence[str], *, conjunction: str = "and") -> str:
    """A list as said aloud: `a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {conjunction} {words[-1]}"


def sentence(text: str) -> str:
    """The text with a capital at its start."""
    return text[:1].upper() + text[1:]


MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def say_day(day: date) -> str:
    """A day as people write it: `3 March 2025`."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"
