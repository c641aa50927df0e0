"""Words with which people say which of two texts is better."""

import re
from typing import Literal

Choice = Literal["first", "second", "tie"]

TIES = frozenset({"tie", "tied", "draw", "equal", "same", "both", "neither", "no preference", "undecided"})
FIRST, SECOND = frozenset({"a", "1", "left", "first"}), frozenset({"b", "2", "right", "second"})
BEFORE = re.compile(r"(?:paragraph|option|answer|text|response|completion|version|choice) ?(?=\S)")
WANTED = "a or b, left or right, 1 or 2, or a tie"


def read_choice(value: object) -> Choice | None:
    """What is said: the first text, the second or a tie; None where it is none of the words above.

    Case, spaces, underscores and signs around do not count, nor a noun such as in "Answer A".
    """
    if isinstance(value, bool):
        return None
    whole = str(value).strip().removesuffix(".0")
    word = " ".join(re.sub(r"[\s_.:;()\[\]\"'-]+", " ", whole).casefold().split())
    if word in TIES:
        return "tie"
    word = BEFORE.sub("", word, count=1)
    return "first" if word in FIRST else "second" if word in SECOND else None
