"""Writes the invented paragraphs: the same content, well or badly put along each rubric dimension."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from stages.files.hashing import uniform
from stages.sample import phrases
from stages.sample.sections import SECTIONS, Clause
from stages.sample.world import Application, pick, whole

DIMENSIONS = (
    "specific_numbers",  # exact figures, days and places in what was or will be done
    "plain_words",  # ran, taught, bought; not operationalised, upskilled, procured
    "active_voice",
    "no_hedging",
    "no_cliches",
    "named_outcome",  # who will do what by when, and how it is measured
    "fits_the_funder",  # names the aim of the funder in the prompt, not that of another
    "budget_adds_up",  # number times price is the sum
    "agrees_with_the_brief",  # people and months as in the prompt
)
CHARACTERS_PER_WORD = 6
SHORTEST_SENTENCE = 30  # characters
Levels = Mapping[str, bool]

Item = TypeVar("Item")


class Plan(NamedTuple):
    """What both drafts of a pair have to contain; a dimension that is not carried cannot differ."""

    section: str
    carries: frozenset[str]
    n_clauses: int
    n_cliches: int


QUANTITIES = {  # by the first word of the thing; anything else 12 to 90
    "hours": (120, 900), "people": (2, 4), "milestones": (4, 9), "warning": (3, 6), "risks": (4, 9),
    "helpers": (2, 5), "smaller": (3, 7), "visits": (4, 12), "free": (20, 90), "past": (4, 12),
    "{place}": (6, 24), "volunteers": (6, 24), "jobs": (3, 8), "the": (0, 0),
}  # fmt: skip
NAME_IN_BRACES = re.compile(r"{(\w+)}")
SENTENCE_START = re.compile(r"(?<=[.?!] )t(?=he )")
SMALL_NUMBER = re.compile(r"([1-9]\d?)(?=\s)")
CARRIED_ANYWHERE = ("named_outcome", "fits_the_funder", "budget_adds_up", "agrees_with_the_brief")


def write_paragraph(application: Application, plan: Plan, levels: Levels, n_words: int, *, name: str) -> str:
    """A paragraph of about `n_words`; `name` draws its wording, `levels` how well it is put."""
    clauses = _shuffled(SECTIONS[plan.section], name, "clauses")[: plan.n_clauses]
    body = [write_clause(clause, application, levels, name=f"{name}/{n}") for n, clause in enumerate(clauses)]
    carried = [_carried(kind, application, levels, name=f"{name}/{kind}") for kind in sorted(plan.carries)]
    neutral = _shuffled(phrases.NEUTRAL, name, "neutral")
    spare = neutral if levels["no_cliches"] else _shuffled(phrases.CLICHES, name, "cliches")
    sentences = body + carried + [fill(text, application, name=name) for text in spare[: plan.n_cliches]]
    n_left = n_words * CHARACTERS_PER_WORD - len(introduce_once(" ".join(sentences), application))
    for text in neutral[plan.n_cliches :]:
        if n_left < SHORTEST_SENTENCE:
            break
        more = fill(text, application, name=name)
        n_more = len(introduce_once(" ".join([*sentences, more]), application))
        if n_more <= n_words * CHARACTERS_PER_WORD:
            sentences.append(more)
            n_left = n_words * CHARACTERS_PER_WORD - n_more
    text = " ".join([sentences[0], *_shuffled(sentences[1:], name, "order")])
    return introduce_once(text, application)


def introduce_once(text: str, application: Application) -> str:
    """Full names at the first mention, the short ones after it, as people write."""
    short = {application.organisation: f"the {application.theme.organisation}"}
    short |= {person: person.split()[0] for person in (application.lead, application.second)}
    for full, later in short.items():
        head, found, rest = text.partition(full)
        text = head + found + rest.replace(full, later)
    return SENTENCE_START.sub(lambda match: match.group().upper(), text)


def write_clause(clause: Clause, application: Application, levels: Levels, *, name: str) -> str:
    """One sentence of the section's own content, put according to four of the dimensions."""
    precise = levels["specific_numbers"]
    agent = _fill(clause.agent, application, name=name)
    if clause.agent == "{org}" and whole(0, 1, name, "we"):
        agent = "we" if levels["active_voice"] else "us"
    thing = _quantify(clause.thing, application, precise=precise, name=name)
    tail = _fill(clause.precise if precise else clause.vague, application, name=name)
    verb = phrases.VERBS[clause.verb]
    base, past, participle = verb[:3] if levels["plain_words"] else verb[3:]
    hedged = not levels["no_hedging"]
    if clause.tense == "past":
        opening = f"{pick(phrases.HEDGED_PAST, name, 'hedge')} " if hedged else ""
        if levels["active_voice"]:
            return sentence(f"{opening}{agent} {past} {thing} {tail}")
        return sentence(f"{opening}{thing} were {participle} by {agent} {tail}")
    if levels["active_voice"]:
        will = pick(phrases.HEDGED_FUTURE, name, "hedge") if hedged else "will"
        return sentence(f"{agent} {will} {base} {thing} {tail}")
    will_be = pick(phrases.HEDGED_PASSIVE, name, "hedge") if hedged else "{} will be"
    return sentence(f"{will_be.format(thing)} {participle} by {agent} {tail}")


def _carried(kind: str, application: Application, levels: Levels, *, name: str) -> str:
    good = levels[kind]
    extra: dict[str, str] = {}
    texts: tuple[str, ...]
    if kind == "named_outcome":
        texts = phrases.NAMED_OUTCOMES if good else phrases.VAGUE_OUTCOMES
    elif kind == "fits_the_funder":
        others = [funder for funder in sorted(phrases.FUNDERS) if funder != application.funder]
        funder = application.funder if good else pick(others, name, "funder")
        texts, extra = phrases.FIT, {"aim": pick(phrases.FUNDERS[funder], name, "aim")}
    elif kind == "budget_adds_up":
        total = application.n_units * application.price
        wrong = total * pick((58, 67, 74, 83, 118, 129, 137, 146), name, "wrong") // 100
        texts, extra = phrases.BUDGETS, {"total": f"{total if good else wrong:,}"}
    else:
        n_people, n_months = application.n_people, application.n_months
        if not good:
            n_people += pick((-1, 1), name, "sign") * whole(3, n_people * 2 // 3, name, "people")
            n_months += whole(2, 8, name, "months") * (-1 if n_months > 14 else 1)
        texts, extra = phrases.FACTS, {"n_people": str(n_people), "n_months": str(n_months)}
    return fill(pick(texts, name, "text"), application, name=name, **extra)


def fill(text: str, application: Application, *, name: str, **extra: str) -> str:
    """Put the application's words into the braces of a whole sentence."""
    return sentence(_fill(text, application, name=name, **extra))


def sentence(text: str) -> str:
    """Capital at the start (a number below a hundred is spelled out), one full stop at the end."""
    if number := SMALL_NUMBER.match(text):
        text = spell(int(number.group(1))) + text[number.end(1) :]
    return text[0].upper() + text[1:].rstrip(".") + "."


def spell(number: int) -> str:
    """A whole number from 1 to 99 in words."""
    if number < 20:
        return phrases.ONES[number]
    tens = phrases.TENS[number // 10]
    return f"{tens}-{phrases.ONES[number % 10]}" if number % 10 else tens


def _fill(text: str, application: Application, *, name: str, **extra: str) -> str:
    names = set(NAME_IN_BRACES.findall(text))
    words = {one: _word(one, application, extra, name) for one in names}
    return text.format_map(words)


def _word(wanted: str, application: Application, extra: Mapping[str, str], name: str) -> str:
    lower = wanted[0].lower() + wanted[1:]
    draw = "skill" if lower == "tool" else lower  # the tool that measures the skill of the same sentence
    word = extra[lower] if lower in extra else application.word(lower, lambda items: pick(items, name, draw))
    return word[0].upper() + word[1:] if wanted[0].isupper() else word


def _quantify(thing: str, application: Application, *, precise: bool, name: str) -> str:
    text = _fill(thing, application, name=name)
    low, high = QUANTITIES.get(thing.split()[0], (12, 90))
    if high == 0:
        return text
    amount = str(whole(low, high, name, "n")) if precise else pick(phrases.MANY, name, "many")
    return f"{amount} {text}"


def _shuffled(items: Sequence[Item], *name: str) -> list[Item]:
    order = sorted(range(len(items)), key=lambda n: uniform("sample", *name, str(n)))
    return [items[n] for n in order]
