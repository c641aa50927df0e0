"""Proper names in an English text: runs of capitalised words, by rule and without a list of names.

A run that opens a sentence counts where more than one word of it is capitalised, or where its one word also
stands capitalised inside a sentence.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from stages.prose.mention import Mention
from stages.prose.tables import ABBREVIATIONS, ADJECTIVES, LINKS, NOT_NAMES, OPENERS, TITLES, WEEKDAYS

WORD = re.compile(r"(?:[A-Z]\.)+(?:[A-Z]\b)?|[^\W\d_]+(?:['-](?=[^\W\d_])[^\W\d_]+)*")
OPENS = re.compile(r"(?:\A|[.!?:;\n\u2022\u2013\u2014|]|^\s*\d{1,3}[.)])[\s\"'(\[*_#>~`-]*\Z", re.MULTILINE)
POSSESSIVE = re.compile(r"'(?:s|m|d|ve|ll|re)?\Z")
BESIDE = (" ", "' ", " & ", ". ", "/")  # between two words of one name
MAX_HEADING_WORDS = 12
MAX_SHOUTED = 5  # letters of an acronym; a longer word in capitals is emphasis


class Word(NamedTuple):
    """One word of a text with where it stands; `opens` a sentence, a quotation or a line."""

    text: str
    start: int
    end: int
    opens: bool

    @property
    def is_capitalised(self) -> bool:
        """Starts as a name does, and is not shouted."""
        letters = self.text.replace(".", "").replace("-", "").replace("'", "")
        return self.text[0].isupper() and not (len(letters) > MAX_SHOUTED and letters.isupper())


def fold(word: str) -> str:
    """A word without case, accents, points and a plural or possessive s."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c)).casefold()
    plain = re.sub(r"'s?$", "", plain).replace(".", "").replace("'", "")
    plain = re.sub(r"(?<=\w{2})ies$", "y", plain)
    return plain[:-1] if len(plain) > 3 and plain.endswith("s") and not plain.endswith("ss") else plain


def find_names(text: str, known: frozenset[str] = frozenset()) -> list[Mention]:
    """Every name, in its order; `text` is as `clean` leaves it, `known` are folded words of other names."""
    words = read_words(_without_headings(text))
    inside = known | capitals_inside(words)
    lower = {word.text for word in words if word.text.islower()}
    runs = (_trim(run, inside, lower) for run in _runs(words, text))
    return [_name(run) for run in runs if run]


def read_words(text: str) -> list[Word]:
    """The words of a text; a point after a title or an abbreviation ends no sentence."""
    words: list[Word] = []
    for match in WORD.finditer(text):
        line = text[max(0, match.start() - 40) : match.start()]
        opens = bool(OPENS.search(line))
        if opens and words and text[words[-1].end : match.start()] in (". ", ".") and "\n" not in line[-2:]:
            opens = words[-1].text.lower() not in ABBREVIATIONS
        if words and words[-1].text.endswith(".") and text[words[-1].end : match.start()] == " ":
            opens = False  # J. Smith
        words.append(Word(match[0], match.start(), match.end(), opens))
    return words


def capitals_inside(words: Sequence[Word]) -> frozenset[str]:
    """The folded words that stand capitalised inside a sentence."""
    return frozenset(fold(word.text) for word in words if word.is_capitalised and not word.opens)


def _without_headings(text: str) -> str:
    """The text with blanks for lines that are capitalised throughout and end no sentence."""
    if "\n" not in text:
        return text
    return "\n".join(" " * len(line) if _is_heading(line) else line for line in text.split("\n"))


def _is_heading(line: str) -> bool:
    words = re.findall(r"[^\W\d_]{4,}", line)
    return (
        0 < len(words) <= MAX_HEADING_WORDS
        and line.rstrip(" *_#:")[-1:] not in ".!?,;"
        and all(word[0].isupper() for word in words)
    )


def _runs(words: Sequence[Word], text: str) -> list[list[Word]]:
    """Capitalised words side by side; `of` and the like may stand between two of them, `and` parts them."""
    runs: list[list[Word]] = []
    current: list[Word] = []
    for word in words:
        is_link = word.text in (*LINKS, "the")
        is_beside = bool(current) and not word.opens and text[current[-1].end : word.start] in BESIDE
        if not (is_beside and (word.is_capitalised or is_link)):
            runs.append(current)
            current = [word] if word.is_capitalised else []
        else:
            current.append(word)
    return [run for run in [*runs, current] if run]


def _trim(run: list[Word], inside: frozenset[str], lower: set[str]) -> list[Word]:
    """The run without what only opens a sentence, links at its ends, titles, roles and days."""
    run = _without_links(run)
    if run[0].opens and run[0].text.lower() in OPENERS:
        run = _without_links(run[1:])
    elif run[0].opens and not _is_telling(run[0]) and fold(run[0].text) not in inside:
        if len(run) == 1:
            return []
        run = _without_links(run[1:]) if run[0].text.lower() in lower else run
    while run and _is_plain(run[0]):
        run = _without_links(run[1:])
    while run and _is_plain(run[-1]):
        run = _without_links(run[:-1])
    return [] if all(word.text.lower() in ADJECTIVES for word in run) else run


def _without_links(run: list[Word]) -> list[Word]:
    while run and not run[0].is_capitalised:
        run = run[1:]
    while run and not run[-1].is_capitalised:
        run = run[:-1]
    return run


def _is_telling(word: Word) -> bool:
    """A name even where it opens a sentence: an acronym, or capitals inside as in Hay-on-Wye."""
    return sum(letter.isupper() for letter in word.text) > 1


def _is_plain(word: Word) -> bool:
    text = POSSESSIVE.sub("", word.text).rstrip(".").lower()
    return text in NOT_NAMES or text in TITLES or text in WEEKDAYS or text.removesuffix("s") in WEEKDAYS


def _name(run: Sequence[Word]) -> Mention:
    words = (part for word in run for part in word.text.split("-"))
    own = tuple(fold(word) for word in words if word not in LINKS and word != "the")
    last = run[-1]
    return Mention(
        "name", run[0].start, last.end - len(last.text) + len(POSSESSIVE.sub("", last.text)), words=own
    )
