"""What can be seen in one pair alone: each check gives what it found, or an empty text."""

import re
from collections.abc import Callable, Iterator

from stages.data.forms.rows import Finding, excerpt
from stages.data.texts import count_words, normalise
from stages.files.pairs import PreferencePair
from stages.files.sentences import CLOSERS, ends_a_sentence

# Every repetition below is bounded or starts at a boundary: a text of 1 MiB must not take minutes.
# UTF-8 read as Windows-1252 or Latin-1, U+FFFD, and characters no text should hold.
MOJIBAKE = re.compile(
    "Ã[\u0080-\u00bf\u0192\u201a\u201e\u2020-\u2022\u2026\u2030\u2039\u203a]|â€|Â[\u00a0-\u00bf]|ï»¿|\ufffd"
)
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff\ufffe\uffff]")
MARKUP = re.compile(r"</?[A-Za-z][A-Za-z0-9]*(?:\s[^<>]*)?/?>|&(?:[A-Za-z]{2,8}|#\d{2,5});")
FORMULA = re.compile(r"[=@+]|-\S|\t")
PERSONAL = {
    "an e-mail address": re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"),
    "a telephone number": re.compile(
        r"(?<![\w.,-])(?:\+\d{1,3}[ .-]?(?:\(?\d{1,4}\)?[ .-]?){2,5}\d{2,4}"  # +44 20 7946 0000
        r"|\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}"  # (202) 555-0123
        r"|0\d{3,4} \d{5,7})(?![\w-])"  # 01632 960123
    ),
    "a card number": re.compile(r"(?<!\d)(?:\d{4}[ -]?){3}\d{4}(?!\d)"),
    "a social security number": re.compile(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])"),
}
DIGIT_OR_AT = re.compile(r"[\d@]")  # every one of them holds one, most texts hold none
MIN_PROMPT_WORDS = 5  # a shorter prompt may well be part of a good answer

Side = tuple[str, str]  # name and text


def find_in_pair(pair: PreferencePair, *, min_words: int, max_words: int) -> Iterator[Finding]:
    """Every finding that needs no other row."""
    chosen, rejected = normalise(pair.chosen), normalise(pair.rejected)
    if pair.chosen.split() == pair.rejected.split():
        yield Finding("completions_differ", f"both are {excerpt(pair.chosen)}")
    elif chosen == rejected:
        yield Finding("completions_differ_in_words", f"{excerpt(pair.chosen)} and {excerpt(pair.rejected)}")
    sides = (("chosen", pair.chosen), ("rejected", pair.rejected))
    yield from _each("text_encoding_is_sound", (*sides, ("prompt", pair.prompt)), find_bad_characters)
    yield from _each(
        "word_counts_are_within_limits", sides, lambda text: _word_count(text, min_words, max_words)
    )
    yield from _each("completions_end_a_sentence", sides, find_cut_end)
    yield from _each("texts_hold_no_markup", sides, lambda text: _first(MARKUP, text))
    yield from _each("texts_are_no_formulas", (*sides, ("prompt", pair.prompt)), find_formula)
    yield from _each("no_personal_data_patterns", sides, find_personal_data)
    prompt = normalise(pair.prompt)
    leaks = [
        name for name, text in (("chosen", chosen), ("rejected", rejected)) if f" {prompt} " in f" {text} "
    ]
    if leaks and len(prompt.split()) >= MIN_PROMPT_WORDS:
        yield Finding("prompt_does_not_leak_into_completion", f"{' and '.join(leaks)} contains the prompt")


def find_bad_characters(text: str) -> str:
    """The first garbled or control character."""
    for pattern in (MOJIBAKE, CONTROL):
        if match := pattern.search(text):
            return excerpt(text[max(match.start() - 10, 0) : match.end() + 10])
    return ""


def find_cut_end(text: str) -> str:
    """The last words, where they end no sentence and announce nothing with a colon."""
    whole = ends_a_sentence(text) or text.rstrip(f"{CLOSERS} \n").endswith(":")
    return "" if whole else f"ends with {excerpt(text.rstrip()[-30:])}"


def find_formula(text: str) -> str:
    """The beginning, where a spreadsheet would compute it."""
    return f"begins with {excerpt(text[:20])}" if FORMULA.match(text) else ""


def find_personal_data(text: str) -> str:
    """What kind of personal data the text seems to hold; not the data itself."""
    if not DIGIT_OR_AT.search(text):
        return ""
    return ", ".join(kind for kind, pattern in PERSONAL.items() if pattern.search(text))


def _word_count(text: str, min_words: int, max_words: int) -> str:
    n_words = count_words(text)
    return (
        ""
        if min_words <= n_words <= max_words
        else f"{n_words} words, {min_words} to {max_words} are allowed"
    )


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return excerpt(match.group()) if match else ""


def _each(rule: str, sides: tuple[Side, ...], check: Callable[[str], str]) -> Iterator[Finding]:
    found = [f"{name}: {what}" for name, text in sides if (what := check(text))]
    if found:
        yield Finding(rule, "; ".join(found))


def farthest_word_count(pair: PreferencePair | None, low: int, high: int) -> int:
    """The word count of the text that is farthest outside the limits; `low` where there is no pair."""
    if pair is None:
        return low
    counts = (count_words(pair.chosen), count_words(pair.rejected))
    return max(counts, key=lambda count: max(low - count, count - high))
