"""Habits of an English text: how long, how hard, how hedged. Counts by rule, each in a unit of its own."""

import re
from functools import cache
from typing import NamedTuple

from stages.files.sentences import sentence_ends
from stages.prose.mention import one_of
from stages.prose.plain import clean
from stages.prose.tables import (
    FIRST_PERSON,
    HEDGES,
    HEDGING_PHRASES,
    IRREGULAR_PARTICIPLES,
    SCALES,
    SUPERLATIVES,
    TENS,
    UNITS,
)

WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*|\d[\d.,]*")
LIST_LINE = re.compile(r"^\s*(?:[-*\u2022]|\d{1,3}[.)])\s", re.MULTILINE)
HEDGE = re.compile(rf"\b{one_of(HEDGING_PHRASES)}\b")
MOST = re.compile(r"\bmost\b(?! of)")
NUMBER_WORDS = frozenset([*UNITS][2:]) | {*TENS, *SCALES}
PASSIVE = re.compile(
    r"\b(?:is|are|was|were|be|been|being)(?: \w+ly| not)? "
    rf"(?:[a-z-]{{2,}}ed|{one_of(IRREGULAR_PARTICIPLES)})\b"
)
N_WORDS_OF_OPENING = 2


class Habits(NamedTuple):
    """One text. Rates are per 100 words; `lists` counts lines, `openings` is a share of the sentences."""

    length: float  # words
    sentence_length: float  # words a sentence
    reading_grade: float  # Flesch and Kincaid's US school grade
    lists: float
    hedges: float
    first_person: float
    superlatives: float
    openings: float  # sentences that begin with the same two words as an earlier one
    numbers: float
    passives: float


def measure_habits(text: str) -> Habits | None:
    """The habits of a text; None where it has no words."""
    plain = clean(text).text
    lower = plain.lower()
    ends = sentence_ends(plain)
    sentences = [WORD.findall(lower[a:b]) for a, b in zip([0, *ends], [*ends, len(plain)], strict=True)]
    openings = [tuple(words[:N_WORDS_OF_OPENING]) for words in sentences if words]
    words = [word for sentence in sentences for word in sentence]
    n = len(words)
    if n == 0:
        return None
    n_numbers = sum(word[0].isdigit() or not NUMBER_WORDS.isdisjoint(word.split("-")) for word in words)
    per_word = 100 / n
    return Habits(
        length=n,
        sentence_length=n / len(openings),
        reading_grade=reading_grade(words, n_sentences=len(openings)),
        lists=len(LIST_LINE.findall(plain)),
        hedges=per_word * (sum(word in HEDGES for word in words) + len(HEDGE.findall(lower))),
        first_person=per_word * sum(word in FIRST_PERSON for word in words),
        superlatives=per_word * (sum(word in SUPERLATIVES for word in words) + len(MOST.findall(lower))),
        openings=1 - len(set(openings)) / len(openings),
        numbers=per_word * n_numbers,
        passives=per_word * len(PASSIVE.findall(lower)),
    )


def reading_grade(words: list[str], *, n_sentences: int) -> float:
    """Kincaid et al. (1975): 0.39 words a sentence + 11.8 syllables a word - 15.59."""
    return 0.39 * len(words) / n_sentences + 11.8 * sum(map(count_syllables, words)) / len(words) - 15.59


@cache
def count_syllables(word: str) -> int:
    """Groups of vowels, less a silent e at the end; a number counts as one."""
    letters = re.sub(r"[^a-z]", "", word.lower())
    groups = len(re.findall(r"[aeiouy]+", letters))
    if letters.endswith("e") and not letters.endswith(("le", "ee")) and groups > 1:
        groups -= 1
    if letters.endswith("ed") and not letters.endswith(("ted", "ded")) and groups > 1:
        groups -= 1
    return max(groups, 1)
