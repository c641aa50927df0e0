"""Dates and years in an English text, as far as they are given."""

import re
from fractions import Fraction

from stages.prose.mention import Day, Mention, one_of
from stages.prose.rule import Found, Match, rule
from stages.prose.tables import MONTHS, ORDINALS, WEEKDAYS

MONTH = rf"\b(?:{one_of(name.capitalize() for name in MONTHS)}\b(?:(?<=\b[A-Z]..)\.)?)"
YEAR = r"(?:1[5-9]|20)\d\d"
OF_YEAR = rf"(?:,? (?P<year>{YEAR})\b)?"
NTH = rf"(?:\d{{1,2}}(?:st|nd|rd|th)?|(?i:{one_of(ORDINALS)}))"


def _iso(match: Match) -> Found:
    year, month, day = map(int, match[0].split("-"))
    return [Mention("date", *match.span(), days=(Day(year, month, day),))] if month <= 12 else None


def _slashed(match: Match) -> Found:
    a, b, year = int(match[1]), int(match[3]), int(match[4])
    year += 2000 if year < 100 else 0
    days = tuple(Day(year, month, day) for day, month in ((a, b), (b, a)) if month <= 12 and day <= 31)
    return [Mention("date", *match.span(), days=days)] if days else None


def _nth(text: str) -> int:
    return ORDINALS.get(text.lower()) or int(re.sub(r"\D", "", text))


def _day_month(match: Match) -> Found:
    """`3 March 2025`, `3rd of March`, `March 3, 2025`, `3-5 March`: a mention a day."""
    groups = match.groupdict()
    month = MONTHS[groups["month"].rstrip(".").lower()]
    year = int(groups["year"]) if groups["year"] else None
    days = [name for name in ("day", "last") if groups.get(name)]
    if any(_nth(groups[name]) > 31 for name in days):
        return None
    if len(days) < 2:
        day = _nth(groups["day"]) if days else None
        return [Mention("date", *match.span(), days=(Day(year, month, day),))]
    spans = [match.span("day"), (match.start("last"), match.end())]
    return [
        Mention("date", *span, days=(Day(year, month, _nth(groups[name])),))
        for span, name in zip(spans, days, strict=True)
    ]


def _month(match: Match) -> Found:
    """A month alone; `May` and `March` open a sentence as verbs."""
    opens = not match.string[: match.start()].strip() or match.string[: match.start()].rstrip()[-1] in ".!?\n"
    if opens and match["month"] in ("May", "March", "Mar") and not match["year"]:
        return None
    return _day_month(match)


def _weekday(match: Match) -> Found:
    return [Mention("date", *match.span(), days=(Day(weekday=WEEKDAYS[match[1].lower()]),))]


def _two_years(match: Match) -> Found:
    first, second = int(match[1]), int(match[1][:2] + match[2])
    return [
        Mention("year", *match.span(1), Fraction(first)),
        Mention("year", *match.span(2), Fraction(second)),
    ]


def _decade(match: Match) -> Found:
    return [Mention("year", *match.span(), words=(match[0],))]


DATE_RULES = (
    rule(r"\b\d{4}-\d\d-\d\d\b", _iso),
    rule(r"\b(\d{1,2})([/.])(\d{1,2})\2(\d{4}|\d\d)\b", _slashed),
    rule(
        rf"\b(?P<day>{NTH})(?: ?(?:-|–|to|and) ?(?P<last>{NTH}))? (?:of )?(?P<month>{MONTH}){OF_YEAR}",
        _day_month,
    ),
    rule(
        rf"(?P<month>{MONTH}) (?P<day>\d{{1,2}}(?:st|nd|rd|th)?)\b(?![.,]?\d|%| of ){OF_YEAR}",
        _day_month,
    ),
    rule(rf"(?P<month>{MONTH}){OF_YEAR}", _month),
    rule(rf"\b({one_of(name.capitalize() for name in WEEKDAYS)})s?\b", _weekday),
    rule(rf"\b({YEAR})/(\d\d)\b", _two_years),
    rule(rf"\b{YEAR[:-2]}0s\b", _decade),
)
