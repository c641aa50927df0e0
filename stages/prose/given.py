"""What a prompt gives: does it support a mention, or does the mention follow from its figures?"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations, product
from math import prod
from operator import mul

from stages.files.sentences import sentence_ends
from stages.prose.mention import Day, Mention
from stages.prose.names import capitals_inside, fold, read_words
from stages.prose.numbers import find_numbers
from stages.prose.plain import clean
from stages.prose.tables import LINKS

NUMBERS = ("figure", "words", "money", "year")
MAX_OPERANDS = 3
MAX_FIGURES = 20
Result = tuple[Fraction, str]


class Given:
    """What a prompt gives: its mentions and its words."""

    def __init__(self, prompt: str) -> None:
        text = clean(prompt).text
        self.mentions = find_numbers(text)
        words = read_words(text)
        self.names = capitals_inside(words)
        self.words = {fold(part) for word in words for part in (word.text, *word.text.split("-"))}
        self.acronyms = {fold(word.text) for word in words if len(word.text) > 1 and word.text.isupper()}
        joined = [word.text for word in words if word.text not in (*LINKS, "the", "and", "for")]
        self.initials = "".join(word[0] if word[0].isupper() else " " for word in joined)
        ends = sentence_ends(text)
        by_sentence: dict[int, list[Mention]] = {}
        for one in self.mentions:
            by_sentence.setdefault(bisect_right(ends, one.start), []).append(one)
        # A price times a number is taken as given even where the completion does not repeat both.
        self.totals = {
            one for rows in by_sentence.values() for one in results(rows, with_sums=False) if one[1]
        }

    def supports(self, mention: Mention) -> bool:
        """Does the mention's normal form stand in the prompt?"""
        if mention.kind == "name":
            return self._names(mention.words)
        if mention.kind == "date":
            return any(
                _covers(given, day) for one in self.mentions for given in one.days for day in mention.days
            )
        return any(_same(one, mention) for one in self.mentions)

    def parts(self, name: Mention, text: str) -> list[Mention]:
        """Of `Leeds's Dock Street` two names, where the prompt has the first and not the whole."""
        written = text[name.start : name.end]
        owner, mark, owned = written.partition("'s ")
        if not mark or self.supports(name):
            return [name]
        first, second = (tuple(fold(word) for word in re.split(r"[ -]", part)) for part in (owner, owned))
        if not self._names(first):
            return [name]
        middle = name.start + len(owner)
        return [name._replace(end=middle, words=first), name._replace(start=middle + len(mark), words=second)]

    def _names(self, words: Sequence[str]) -> bool:
        """All its words stand in the prompt; J. for John too, and WSN for the Wetland Society of Norfolk."""
        if all(word in self.words or (len(word) == 1 and word.upper() in self.initials) for word in words):
            return True
        if len(words) == 1:
            return len(words[0]) > 1 and words[0].upper() in self.initials
        return "".join(word[0] for word in words) in self.acronyms


def _same(given: Mention, mention: Mention) -> bool:
    """One normal form; a bare number is also supported by a sum, a year or a day of that value."""
    if given.words or mention.words:
        return given.kind == mention.kind and given.words == mention.words
    if mention.kind == "year" and any(day.year == mention.value for day in given.days):
        return True
    if given.value is None or mention.value is None:
        return False
    if mention.kind == "percentage":
        slack = max(given.slack, mention.slack)
        return given.kind == "percentage" and abs(given.value - mention.value) <= slack
    if mention.kind == "money":
        return given.kind == "money" and (given.value, given.unit) == (mention.value, mention.unit)
    return given.kind in NUMBERS and given.value == mention.value


def _covers(given: Day, day: Day) -> bool:
    """Everything the date says is given."""
    return all(part is None or part == known for part, known in zip(day, given, strict=True))


def results(operands: Sequence[Mention], *, with_sums: bool = True) -> set[Result]:
    """Every product, sum and difference of two or three of the operands, with its currency or "".

    Of more than MAX_FIGURES operands the first are taken: a text so full of figures explains any number.
    """
    usable = {one.fact: one for one in operands if one.value is not None and one.kind != "year"}
    found: set[Result] = set()
    for n in range(2, MAX_OPERANDS + 1):
        for chosen in combinations([*usable.values()][:MAX_FIGURES], n):
            units = [one.unit for one in chosen if one.kind == "money"]
            if len(units) <= 1:
                found.add((Fraction(prod(map(_factor, chosen))), "".join(units)))
            if with_sums and len(units) in (0, n) and len({*units}) <= 1 and _are_counts(chosen):
                signs = product((1, -1), repeat=n)
                unit = units[0] if units else ""
                found |= {(sum(map(mul, sign, map(_factor, chosen))), unit) for sign in signs}
    return found


def _factor(mention: Mention) -> Fraction:
    """The number by which it multiplies; a percentage is a hundredth."""
    value = mention.value or Fraction(0)
    return value / 100 if mention.kind == "percentage" else value


def _are_counts(chosen: Sequence[Mention]) -> bool:
    return all(one.kind != "percentage" for one in chosen)


def follows(mention: Mention, found: set[Result]) -> bool:
    """Is it among the results? A sum of money only as money; a bare figure may stand for one."""
    if mention.kind == "money":
        return (mention.value, mention.unit) in found
    return mention.kind in ("figure", "words") and any(value == mention.value for value, _ in found)
