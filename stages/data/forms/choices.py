"""Words with which people say which of two texts is better."""

import re
from typing import Literal

Choice = Literal["first", "second", "tie"]

TIES = frozenset({"tie", "tied", "draw", "equal", "same", "both", "neither", "no preference", "undecided"})
FIRST, SECOND = frozenset({"a", "1", "left", "first"}), frozenset({"b", "2", "right", "second"})
BEFORE = re.compile(r"(?:paragraph|option|answer|text|response|completion|version|choice) ?(?=\S)")
SIGNED = re.compile(r"(?:^|(?<=[\s(\['\":]))-\s*\d|\d\s*-$")  # -1, (-1), 1-: a number below 0; no "option-1"
NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
WANTED = "a or b, left or right, 1 or 2, or a tie"


def read_choice(value: object) -> Choice | None:
    """What is said: the first text, the second or a tie; None where it is none of the words above.

    Case, spaces, underscores and signs around do not count, nor a noun such as in "Answer A". The minus of a
    number does: -1 is not 1.
    """
    if isinstance(value, bool):
        return None
    whole = as_word(value)
    if SIGNED.search(whole):
        return None
    word = " ".join(re.sub(r"[\s_.:;()\[\]\"'-]+", " ", whole).casefold().split())
    if word in TIES:
        return "tie"
    word = BEFORE.sub("", word, count=1)
    return "first" if word in FIRST else "second" if word in SECOND else None


def as_word(value: object) -> str:
    """What is said, as it is counted: 1.0 is 1."""
    return str(value).strip().removesuffix(".0")


def is_off_scale(word: str) -> bool:
    """Is it a number that names neither text? Beside it 1 and 2 may be marks on a scale, too."""
    return NUMBER.fullmatch(word) is not None and word not in ("1", "2")
