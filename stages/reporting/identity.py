"""What the page speaks of: which model, which study, which commit, and who judged when."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from stages.decision.wording import listed, say_day

DIGITS = 7  # of a commit


class Part(NamedTuple):
    """A piece of the page's first line; `quoted` are names, ids and days, which are not our words."""

    words: str
    quoted: str = ""


class Judging(NamedTuple):
    """The editors whose ballots are counted, and the day on which git got the last one, if it has it."""

    editors: Sequence[str]
    day: date | None


class Commit(NamedTuple):
    """The commit that is checked out; `is_changed` where code or parameters differ from it."""

    revision: str
    is_changed: bool


class Identity(NamedTuple):
    """`product` is empty where params.yaml names none."""

    product: str
    parts: list[Part]


def identify(
    *,
    product: str,
    owner: str,
    base: str,
    study_id: str,
    judging: Judging,
    commit: Commit | None,
    is_judged: bool,
) -> Identity:
    """The first line. `is_judged` says if the ballots gave a number that holds."""
    parts = [Part(product or "The new model", owner and f"of {owner}"), Part("made from", base)]
    if is_judged and judging.editors:
        when = f", the last ballot of {say_day(judging.day)}" if judging.day else ""
        parts.append(Part("judged by", f"{listed(list(judging.editors))}{when}"))
    else:
        parts.append(Part("not judged yet" if not judging.editors else "the judging cannot be used"))
    if study_id:
        parts.append(Part("study", study_id))
    if commit:
        since = " and changes since" if commit.is_changed else ""
        parts.append(Part("commit", f"{commit.revision[:DIGITS]}{since}"))
    return Identity(product, parts)
