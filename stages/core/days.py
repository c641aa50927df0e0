"""Days as data tell them: read without guessing, written without a locale or a clock."""

import re
from datetime import date, datetime

UNKNOWN = -1
DAY = re.compile(r"\d{4}-?\d{2}-?\d{2}([T ].*)?")  # seconds since 1970 would pass as a day of the year 1712
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def day_number(text: str | None) -> int:
    """The ordinal of an ISO 8601 day or time, as it was written there; UNKNOWN for anything else."""
    if text is None or not DAY.fullmatch(text):
        return UNKNOWN
    try:
        return datetime.fromisoformat(text).toordinal()
    except ValueError:
        return UNKNOWN


def say_day(day: date) -> str:
    """A day as people write it: `3 March 2025`."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"
