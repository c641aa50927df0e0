"""Numbers in digits and in words: the pattern that finds one, and its exact value."""

import re
from fractions import Fraction

from stages.prose.mention import one_of
from stages.prose.tables import SCALES, SHORT_SCALES, TENS, UNITS

BIG = ("thousand", "million", "billion")
DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d{1,3}(?: \d{3})+(?![\d,])|\d+(?:\.\d+)?)"
START = r"(?:(?<![\w.,/:-])|(?<=\d[-/])|(?<=\bmid-)|(?<=\bpre-)|(?<=\bpost-))"
SMALL = rf"(?:{one_of(TENS)}(?:[- ]{one_of([*UNITS][1:10])})?|{one_of(UNITS)})\b"
BELOW_1000 = rf"(?:(?:{SMALL}|a)[- ]hundred\b(?:(?: and |[ -]){SMALL})?|{SMALL})"
GROUP = rf"(?:{BELOW_1000}|an?|half an?)[- ]{one_of(BIG)}\b"
WORDS = (
    r"\b(?=[zotfsenahZOTFSENAH])"  # the letters with which one begins: four times as fast
    rf"(?i:{GROUP}(?:,?(?: and)? {GROUP})*(?:,?(?: and)? {BELOW_1000})?|(?:{SMALL}|half a|a)[- ]dozen\b"
    rf"|{BELOW_1000})(?: and a half\b)?"
)
NUMBER = rf"(?:{START}{DIGITS}(?:[ -](?i:{one_of([*BIG, 'dozen'])})\b)?|{WORDS})"
TOKEN = re.compile(r"\d[\d., ]*|[a-z]+")


def number_value(text: str) -> Fraction:
    """The value of what NUMBER has matched, a short scale such as `k` at its end included."""
    total, current = Fraction(0), Fraction(0)
    plain = text.lower().replace("a half", "half")
    tokens = [word for word in TOKEN.findall(plain) if word not in ("and", "a", "an")]
    if tokens[-1] == "half" and len(tokens) > 1:
        return number_value(" ".join(tokens[:-1])) + Fraction(1, 2)
    for word in tokens:
        scale = SCALES.get(word) or SHORT_SCALES.get(word)
        if scale in (100, 12):
            current = (current or Fraction(1)) * scale
        elif scale:
            total, current = total + (current or Fraction(1)) * scale, Fraction(0)
        elif word == "half":
            current = Fraction(1, 2)
        elif word[0].isdigit():
            current += Fraction(word.replace(",", "").replace(" ", "").rstrip("."))
        else:
            current += UNITS[word] if word in UNITS else TENS[word]
    return total + current
