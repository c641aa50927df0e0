"""What a completion claims, and whether its prompt supports it.

Supported: its normal form stands in the prompt. Derived: a product, sum or difference of at most three of the
prompt's figures. Anything else is unsupported.
"""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import groupby
from typing import Literal, NamedTuple

from stages.files.sentences import sentence_ends
from stages.prose.given import Given, follows, results
from stages.prose.mention import Mention
from stages.prose.names import find_names
from stages.prose.numbers import find_numbers
from stages.prose.plain import clean

Status = Literal["supported", "derived", "unsupported"]


class Claim(NamedTuple):
    """A mention at `start` to `end` of the text as it was written, with what the prompt says of it."""

    mention: Mention
    status: Status
    start: int
    end: int


def find_claims(completion: str, given: Given) -> list[Claim]:
    """Every mention of the completion, in its order, with what the prompt says of it."""
    written = clean(completion)
    numbers = find_numbers(written.text)
    taken = {place for number in numbers for place in range(number.start, number.end)}
    names = (  # the US of US$5 is none
        name
        for name in find_names(written.text, given.names)
        if taken.isdisjoint(range(name.start, name.end))
    )
    parts = [part for name in names for part in given.parts(name, written.text)]
    mentions = sorted([*numbers, *parts], key=lambda mention: mention.start)
    ends = sentence_ends(written.text)
    claims = []
    for _, group in groupby(mentions, key=lambda mention: bisect_right(ends, mention.start)):
        sentence = list(group)
        supported = [mention for mention in sentence if given.supports(mention)]
        derived = results(supported)
        for mention in sentence:
            is_derived = follows(mention, derived | given.totals if mention.kind == "money" else derived)
            status: Status = "derived" if is_derived else "unsupported"
            start, end = written.places[mention.start], written.places[mention.end - 1] + 1
            claims.append(Claim(mention, "supported" if mention in supported else status, start, end))
    return claims


def distinct(claims: Iterable[Claim], status: Status) -> list[Claim]:
    """The claims of a status, each fact once: a name said five times is one invention."""
    first: dict[tuple[object, ...], Claim] = {}
    for claim in claims:
        if claim.status == status:
            first.setdefault(claim.mention.fact, claim)
    return list(first.values())
