"""Mentions against planted sentences, against the sample corpus, and in texts nobody expects."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from stages.prose.given import Given
from stages.prose.mention import KINDS
from stages.prose.mentions import Claim, distinct, find_claims
from stages.sample.corpus import make_pair
from stages.sample.world import Application, invent_applications

PLANTED = Path(__file__).parent / "planted.txt"
MARK = re.compile(r"\{(\w)([-+=])\|([^}]*)\}")
KIND = dict(zip("fwmpdyn", KINDS, strict=True))
STATUS = {"+": "supported", "-": "unsupported", "=": "derived"}
LOWEST = {"name": (0.85, 0.75)}  # precision and recall; of all other kinds .95 and .90


class Planted(NamedTuple):
    """A sentence, its prompt, and (kind, status, start, end) of what stands in it."""

    prompt: str
    text: str
    marks: list[tuple[str, str, int, int]]


def read_planted() -> Iterator[Planted]:
    prompt = ""
    for line in PLANTED.read_text(encoding="utf-8").splitlines():
        if line.startswith("@ "):
            prompt = line[2:].replace("\\n", "\n")
        elif not line.startswith("#"):
            text, marks = "", []
            for part in re.split(r"(\{[^}]*\})", line):
                mark = MARK.fullmatch(part)
                shown = mark[3] if mark else part
                if mark:
                    marks.append((KIND[mark[1]], STATUS[mark[2]], len(text), len(text) + len(shown)))
                text += shown
            yield Planted(prompt, text, marks)


def found_in(text: str, prompt: str) -> list[Claim]:
    return find_claims(text, Given(prompt))


def shown(text: str, prompt: str) -> list[tuple[str, str, str]]:
    """(kind, status, text) of every mention."""
    return [(c.mention.kind, c.status, text[c.start : c.end]) for c in found_in(text, prompt)]


def score_planted() -> dict[str, tuple[int, int, int]]:
    """By kind: mentions found with the right status, found wrongly, and planted ones not found."""
    right, wrong, missed = Counter[str](), Counter[str](), Counter[str]()
    for planted in read_planted():
        left = list(planted.marks)
        for claim in found_in(planted.text, planted.prompt):
            kind = claim.mention.kind
            hit = [
                mark
                for mark in left
                if mark[:2] == (kind, claim.status) and mark[2] < claim.end and claim.start < mark[3]
            ]
            if hit:
                left.remove(hit[0])
            (right if hit else wrong)[kind] += 1
        missed.update(mark[0] for mark in left)
    return {kind: (right[kind], wrong[kind], missed[kind]) for kind in KINDS}


def test_planted_mentions_are_found_with_what_the_prompt_says_of_them() -> None:
    assert sum(1 for _ in read_planted()) >= 200
    for kind, (right, wrong, missed) in score_planted().items():
        precision, recall = LOWEST.get(kind, (0.95, 0.90))
        assert right / (right + wrong) >= precision, (kind, right, wrong)
        assert right / (right + missed) >= recall, (kind, right, missed)


def test_the_table_in_the_docs_is_what_is_found() -> None:
    text = (Path(__file__).parents[2] / "docs/writing.md").read_text(encoding="utf-8")
    table = text.partition("<!-- planted: start -->\n")[2].partition("<!-- planted: end -->")[0]
    rows = [
        f"| {kind} | {right + missed} | {right} | {wrong} | {right / (right + wrong):.2f} | {right / (right + missed):.2f} |"
        for kind, (right, wrong, missed) in score_planted().items()
    ]
    assert table.splitlines()[2:] == rows


def givens(application: Application, text: str) -> Iterator[tuple[int, int]]:
    """Where a paragraph of the sample says what its prompt gives, by what the generator knows."""
    a = application
    names = [a.organisation, a.theme.organisation, a.place]
    figures = [a.n_people, a.n_months, a.n_units]
    money = [f"£{a.price}", f"£{a.n_units * a.price:,}"]
    pattern = "|".join(
        [*map(re.escape, [*names, *money]), *(rf"(?<![£\d,]){figure}(?![\d,])" for figure in figures)]
    )
    for match in re.finditer(rf"(?<!\w)(?:{pattern})(?!\w)", text):
        yield match.span()


def test_of_what_the_sample_prompts_give_under_two_in_a_hundred_are_flagged() -> None:
    applications = invent_applications(420)
    owners: dict[str, str] = {}
    n_given = n_flagged = 0
    for number in range(0, 420, 2):
        pair = make_pair(number, applications, owners).pair
        given = Given(pair.prompt)
        for text in (pair.chosen, pair.rejected):
            flagged = [(c.start, c.end) for c in find_claims(text, given) if c.status == "unsupported"]
            for start, end in givens(applications[number], text):
                n_given += 1
                n_flagged += any(a < end and start < b for a, b in flagged)
    assert n_given > 1500
    assert n_flagged / n_given < 0.02, (n_flagged, n_given)


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("We have twelve girls.", "12 girls came."),
        ("We have 4,200 books.", "4200 books came."),
        ("A third of them left.", "33% of them left."),
        ("It is 33 % of them.", "One third of them left."),
        ("We meet on 3 Sept 2025.", "We meet on September 3."),
        ("It costs £1.2m.", "It costs 1.2 million pounds."),
        ("The Wetland Societies of Norfolk", "We at WSN met the Wetland Society."),
        ("Call John Whitlock.", "Then J. Whitlock called."),
        ("Due 05/03/2025.", "It is due on 5 March 2025."),
        ("It took 2½ years.", "It took two and a half years."),
        ("Open 7 pm.", "We open at 7:00 p.m. sharp."),
    ],
)
def test_one_fact_written_in_two_ways_is_supported(prompt: str, text: str) -> None:
    assert {status for _, status, _ in shown(text, prompt)} == {"supported"}


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("We have 33 girls.", "33% of the girls came."),
        ("We ask for $500.", "We ask for £500."),
        ("It is March 2025.", "It is 3 March 2025."),
        ("Call Joan Castellan.", "We called Joan Hallam."),
        ("We serve 40 families.", "We serve 41 families."),
    ],
)
def test_another_unit_a_closer_date_or_another_name_is_unsupported(prompt: str, text: str) -> None:
    assert "unsupported" in {status for _, status, _ in shown(text, prompt)}


def test_what_follows_is_counted_apart_and_only_where_its_operands_stand_beside_it() -> None:
    prompt = "25 days at £230 each, with 12 people and 7 helpers."
    assert ("money", "derived", "£5,750") in shown("We pay for 25 at £230: £5,750.", prompt)
    assert ("money", "derived", "£5,750") in shown(
        "In all it costs £5,750.", prompt
    )  # one sentence of the prompt
    assert ("figure", "derived", "19") in shown("12 people and 7 helpers are 19.", prompt)
    assert ("figure", "unsupported", "19") in shown("12 people and 7 helpers came. In all 19.", prompt)
    assert ("money", "unsupported", "£19") in shown("12 people and 7 helpers cost £19.", prompt)
    assert ("money", "unsupported", "£5,751") in shown("We pay for 25 at £230: £5,751.", prompt)


def test_a_fact_said_five_times_is_one_invention() -> None:
    claims = found_in("In Leeds. In Leeds. In 2019, in Leeds. In Leeds, 2019.", "Write a line.")
    assert [c.mention.fact[0] for c in distinct(claims, "unsupported")] == ["name", "year"]


def test_marks_of_reading_direction_hide_nothing_and_places_are_those_of_the_text() -> None:
    text = "We paid \u202e£4\u200f,200\u202c to \u2067Leeds\u2069 in Ｊuly."
    assert [(kind, part.replace("\u200f", "")) for kind, _, part in shown(text, "Write.")] == [
        ("money", "£4,200"),
        ("name", "Leeds"),
        ("date", "Ｊuly"),
    ]


def test_an_empty_text_has_no_mentions_and_ten_thousand_words_are_read_in_seconds() -> None:
    assert found_in("", "Write.") == []
    prompt = "Give " + ", ".join(f"{n} things at £{n}" for n in range(3, 80)) + "."
    long = " and ".join(f"Anna met {n} people at £{n * 7} in May" for n in range(1250))
    begun = time.process_time()
    assert len(found_in(long, prompt)) > 4000
    assert time.process_time() - begun < 8


def test_every_turn_of_a_conversation_supports_what_is_said_after_it() -> None:
    prompt = "Write about our club.\n\nHow many members?\n\nForty, led by Priya Raman."
    assert shown("The 40 members follow Priya.", prompt) == [
        ("figure", "supported", "40"),
        ("name", "supported", "Priya"),
    ]
