"""A text in plain characters, so that one rule reads every way of writing it."""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

UNUSUAL = re.compile("[^\x01-\x7f£€àâäçèéêëîïñóôöùúü–—•]")  # anything else may change under NFKC
LOOKALIKES = str.maketrans("’‘“”−‑‐\u2044\t\r", "''\"\"---/ \n")


class Clean(NamedTuple):
    """A text in plain characters, and for each of them its place in the original."""

    text: str
    places: Sequence[int]


def clean(text: str) -> Clean:
    """Compatibility forms, quotes and spaces made plain; marks of the reading direction taken out."""
    text = text.translate(LOOKALIKES)
    if not UNUSUAL.search(text):
        return Clean(text, range(len(text) + 1))
    shown = [character if character.isascii() else _plain(character) for character in text]
    places = [place for place, characters in enumerate(shown) for _ in characters]
    return Clean("".join(shown), [*places, len(text)])


@cache
def _plain(character: str) -> str:
    if unicodedata.category(character) == "Cf":
        return ""
    if character.isspace():
        return " "
    before = " " if unicodedata.decomposition(character).startswith("<fraction>") else ""
    return before + unicodedata.normalize("NFKC", character).translate(LOOKALIKES)
