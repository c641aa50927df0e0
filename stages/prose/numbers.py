"""Figures, sums of money, percentages, dates and years in an English text, each in a normal form."""

import re
from fractions import Fraction
from itertools import pairwise

from stages.prose.dates import DATE_RULES, YEAR
from stages.prose.mention import Mention, one_of
from stages.prose.number_words import DIGITS, NUMBER, START, number_value
from stages.prose.rule import Found, Match, apply_rules, rule
from stages.prose.tables import (
    COINS,
    COUNTED_NOUNS,
    CURRENCIES,
    FRACTIONS,
    REFERENCES,
    SHORT_SCALES,
    UNITS,
)

CODES = "GBP|USD|EUR|CHF|CAD|AUD"
PART = one_of([*FRACTIONS][1:])
SCALE = rf"(?:(?:[ -]?(?:{one_of(SHORT_SCALES)})|[ -](?i:thousand|million|billion))\b)?"
JOINS = re.compile(r"\s?(?:-|–|to|or|and)\s?")
BEFORE_A_YEAR = re.compile(
    r"(?i)\b(?:in|since|by|from|until|till|of|during|before|after|between|around|year|early|mid|late|spring|summer"
    r"|autumn|winter|christmas|easter|the)[ -]$"
)
NOUN_AFTER = re.compile(r" ([a-z]{3,})")
NO_PLURALS = frozenset(("was", "has", "this", "its"))
COIN = re.compile(rf"[ -]?((?i:pounds?|dollars?|euros?|quid|pence|cents?)\b|(?:p|{CODES})\b)")
PERCENT = re.compile(r"[ -]?(?:%|(?i:per ?cent|percentage points?|pc)\b)")
OUT_OF = re.compile(rf" (?:in|out of)(?: every)? (?P<whole>{NUMBER})(?![\w%])")
DENOMINATORS = frozenset({*range(2, 11), 20, 50, 100, 1000})  # of shares told as `one in five`


def find_numbers(text: str) -> list[Mention]:
    """Every mention that is no name, in its order; `text` is as `clean` leaves it."""
    return _join_ranges(apply_rules(RULES, text), text)


def _join_ranges(found: list[Mention], text: str) -> list[Mention]:
    """Of `10 to 15 %` and `£5-10` both ends are of one kind."""
    for n, (one, other) in enumerate(pairwise(found)):
        between = text[one.end : other.start]
        if not JOINS.fullmatch(between):
            continue
        if one.kind in ("figure", "words") and other.kind == "percentage" and not other.slack:
            found[n] = one._replace(kind="percentage")
        elif one.kind == "money" and other.kind == "figure" and between in ("-", "–"):
            found[n + 1] = other._replace(kind="money", unit=one.unit)
    return found


def _skip(_: Match) -> Found:
    return []


def _digits(match: Match) -> Found:
    """A telephone number or a time of day, as its digits."""
    plain = re.sub(r"[.:]00|\.(?=m)", "", match[0].lower()).replace(".", ":")
    return [Mention("figure", *match.span(), words=("".join(re.findall(r"\d+|:\b|[ap](?=m)", plain)),))]


def _money(match: Match) -> Found:
    amount = number_value(match["sum"] + " " + (match["scale"] or "").strip(" -"))
    return [Mention("money", *match.span(), amount, CURRENCIES[match["sign"].strip().lower()])]


def _counted(match: Match) -> Found:
    """A number with what follows it: a coin, a percent sign, `in five`, or nothing."""
    text, start, value = match.string, match.start(), number_value(match[0])
    if coin := COIN.match(text, match.end()):
        name = coin[1].lower()
        unit, amount = (COINS[name], value / 100) if name in COINS else (CURRENCIES[name], value)
        return [Mention("money", start, coin.end(), amount, unit)]
    if percent := PERCENT.match(text, match.end()):
        return [Mention("percentage", start, percent.end(), value)]
    if whole := OUT_OF.match(text, match.end()):
        n = number_value(whole["whole"])
        if n in DENOMINATORS and value < n:
            return [Mention("percentage", start, whole.end(), 100 * value / n)]
    return _bare(match, value)


def _fraction(match: Match) -> Found:
    """`a third of`, `two thirds`, `half the`: named roughly, so half a point either way is the same."""
    part, whole = (match["part"] or "one").lower(), FRACTIONS[match["whole"].lower()]
    n = 1 if part in ("a", "an") else UNITS[part]
    return (
        [Mention("percentage", *match.span(), Fraction(100 * n, whole), slack=Fraction(1, 2))]
        if n < whole
        else None
    )


def _written_fraction(match: Match) -> Found:
    part, whole = int(match[1]), int(match[2])
    if whole not in DENOMINATORS or part >= whole:
        return None
    return [Mention("percentage", *match.span(), Fraction(100 * part, whole), slack=Fraction(1, 2))]


def _mixed(match: Match) -> Found:
    value = int(match[1]) + Fraction(int(match[2]), int(match[3]))
    return [Mention("figure", *match.span(), value)]


def _bare(match: Match, value: Fraction) -> Found:
    """`one` alone is no count, and four digits may be a year."""
    text, written, end = match.string, match[0], match.end()
    if written.lower() == "one":
        return []
    if re.fullmatch(YEAR, written):
        noun = NOUN_AFTER.match(text, end)
        counts = noun and (noun[1] in COUNTED_NOUNS or noun[1].endswith("s")) and noun[1] not in NO_PLURALS
        if not counts or BEFORE_A_YEAR.search(text[max(0, match.start() - 12) : match.start()]):
            return [Mention("year", *match.span(), value)]
    return [Mention("figure" if written[0].isdigit() else "words", *match.span(), value)]


RULES = (
    rule(r"https?://\S+|www\.\S+|\S+@\S+\.\w+|^[ \t]*\(?\d{1,3}[.)](?=\s)|\b24/7\b", _skip),
    rule(rf"(?i:\b{one_of(REFERENCES)} \d+\b)|(?<=[A-Za-z])-\d+\b", _skip),
    rule(r"(?<![\w£$€.,])(?:\+\d{1,3}[ -]?\d{2,4}|0\d{2,4})[ -]\d{3,4}(?:[ -]?\d{3,4})?\b", _digits),
    *DATE_RULES,
    rule(r"\b\d{1,2}(?:[:.]\d\d)? ?[ap]\.?m\b\.?|\b\d{1,2}:\d\d\b", _digits),
    rule(rf"(?P<sign>US\$|[£$€¥₹]|\b(?:{CODES}) ?) ?(?P<sum>{DIGITS})(?P<scale>{SCALE})(?!\w)", _money),
    rule(
        rf"\b(?i:(?P<part>an?|one)[ -](?P<whole>{PART})(?= of\b|[.,;:!?)]|$| (?:in|over|by|more|less)\b))",
        _fraction,
    ),
    rule(
        rf"\b(?i:(?P<part>{one_of([*UNITS][1:10])})(?:-| (?=\w+s\b))(?P<whole>{PART})s?)\b",
        _fraction,
    ),
    rule(
        r"\b(?i:(?P<part>one(?=[ -]))?[ -]?(?P<whole>half)(?= (?:of|the|our|their|its|all|these|those)\b))",
        _fraction,
    ),
    rule(rf"{START}(\d+) ([1-9])/([2-9])(?![\d/])", _mixed),
    rule(r"(?<![\d/])([1-9])/(\d{1,3})(?![\d/])", _written_fraction),
    rule(rf"{NUMBER}(?:k\b)?(?:(?=p\b)|(?!\w))", _counted),
)
