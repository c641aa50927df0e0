"""Made-up facts and habits on the founder's page: a sentence, two tables, two marked tasks."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Literal, NamedTuple

from stages.decision.evidence import Document, Evidence, parse_evidence
from stages.decision.wording import rounded, sentence
from stages.decision.writing_remark import (
    SECTION,
    Rate,
    WritingEvidence,
    count_made_up,
    name_left_out,
    parse_writing,
    remark,
    say_change,
)
from stages.files.csv_cells import read_table
from stages.files.hashing import hex_digest
from stages.files.json_text import as_written
from stages.reporting.appendix import AppendixTable
from stages.reporting.bars import MINUS
from stages.study.items import BlindItem

KINDS = {
    "figure": "Figures", "words": "Counts in words", "money": "Sums of money", "percentage": "Percentages",
    "date": "Dates", "year": "Years", "name": "Names",
}  # fmt: skip
HABITS = {
    "length": "Words in a text", "sentence_length": "Words in a sentence",
    "reading_grade": "School grade to read it", "lists": "Lines of lists in a text",
    "hedges": "Hedges, as may and might", "first_person": "I, we and our",
    "superlatives": "Superlatives, as best", "openings": "Share of sentences that open alike",
    "numbers": "Numbers", "passives": "Passives, as was made",
}  # fmt: skip
MEANING = {
    "unmoved": "no clear change", "with": "the way our editors like", "against": "against our editors’ taste",
    "beyond": "the way our editors like, and further than the texts they chose",
    "without": "though our editors show no clear taste in it",
}  # fmt: skip
KINDS_ABOUT = (
    "Figures, dates and names that the task did not give, in 100 words. The first row was fixed "
    "beforehand as the one that counts. The others are hints."
)
HABITS_ABOUT = (
    "How both models write. The last column sets a clear change beside what our editors chose, text against "
    "text of equal length. Where no unit stands, the number is for 100 words."
)
MOST, MIDDLE = "Most made up", "A typical case"
RULE = (
    "A fixed rule chose these tasks: the one where the new model’s text holds the most made-up facts beyond "
    "the starting model’s, and the one in the middle. Equal ones are chosen at random. "
    "What the task did not give is marked and bold."
)


class Marked(NamedTuple):
    """A piece of a text; `is_made_up` where the task did not give it."""

    text: str
    is_made_up: bool


class MarkedTask(NamedTuple):
    """A task with both texts in pieces."""

    why: str
    prompt: str
    sides: list[tuple[str, list[Marked]]]


class MadeUp(NamedTuple):
    """All that the page says of it; empty where nothing was checked."""

    note: str
    tables: tuple[AppendixTable, ...]
    tasks: list[MarkedTask]
    rule: str = RULE


NOTHING = MadeUp("", (), [])


class Move(Evidence):
    """Policy minus base in standard deviations, with its range."""

    sd: float
    low: float
    high: float


class Habit(Evidence):
    """One habit of both models."""

    base: float
    policy: float
    unit: float
    moved: Move
    verdict: Literal["unmoved", "with", "against", "beyond", "without"]


class Described(Evidence):
    """What only describes in `writing` of metrics/writing.json."""

    kinds: dict[str, Rate]
    habits: dict[str, Habit]


def tell_made_up(
    document: Document, mentions: str, items: Sequence[BlindItem], *, max_rise: Fraction, is_judged: bool
) -> MadeUp:
    """The page's part, from metrics/writing.json and data/writing/mentions.csv.

    Before the study is over it is empty: how the models differ would tell an editor which text is whose.
    ValueError where the table is not what `writing` writes, or belongs to other texts.
    """
    writing, described = parse_writing(document), parse_evidence(document, SECTION, Described)
    if not (is_judged and isinstance(writing, WritingEvidence) and isinstance(described, Described)):
        return NOTHING
    tables = (
        tabulate_kinds(writing.unsupported_per_100_words, described.kinds),
        tabulate_habits(described.habits),
    )
    tasks = choose_tasks(items, parse_places(mentions))
    return MadeUp("" if remark(writing, max_rise) else say_note(writing), tables, tasks)


def say_note(writing: WritingEvidence) -> str:
    """The founder's sentence where there is no remark: counts, and a range that may hold no change."""
    rate = writing.unsupported_per_100_words
    open_ended = rate.low <= 0 <= rate.high
    verdict = (
        "We cannot say that the new model makes up more, or fewer, facts."
        if open_ended
        else ("The new model makes up fewer facts." if rate.high < 0 else "It makes up hardly more facts.")
    )
    return " ".join(filter(None, [verdict, count_made_up(writing), say_change(rate), name_left_out(writing)]))


def tabulate_kinds(total: Rate, kinds: Mapping[str, Rate]) -> AppendixTable:
    """Made-up facts by kind."""
    rows = [("All together", total), *((KINDS[kind], kinds[kind]) for kind in KINDS if kind in kinds)]
    return AppendixTable(
        "Made-up facts, by kind",
        KINDS_ABOUT,
        ["What", "Starting model", "New model", "Change", "Likely range"],
        [
            (name, *_numbers(row.base, row.policy), *_change(row.difference, row.low, row.high))
            for name, row in rows
        ],
    )


def tabulate_habits(habits: Mapping[str, Habit]) -> AppendixTable:
    """Habits of both models, length first."""
    return AppendixTable(
        "How the writing moved",
        HABITS_ABOUT,
        ["Habit", "Starting model", "New model", "Change", "Likely range", "So"],
        [
            (
                HABITS[name],
                *_numbers(one.base, one.policy),
                *_change(*(one.unit * end for end in (one.moved.sd, one.moved.low, one.moved.high))),
                sentence(MEANING[one.verdict]),
            )
            for name, one in ((name, habits[name]) for name in HABITS if name in habits)
        ],
    )


def _numbers(*values: float) -> tuple[str, ...]:
    return tuple(rounded(as_written(value), places=2).replace("-", MINUS) for value in values)


def _change(value: float, low: float, high: float) -> tuple[str, str]:
    shown, *ends = _numbers(value, low, high)
    return shown, f"{ends[0]} to {ends[1]}"


Places = Mapping[tuple[str, str], list[tuple[int, int]]]


def parse_places(text: str) -> Places:
    """Where the made-up facts stand, by prompt and model; ValueError where the table is none."""
    places: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row in read_table(text, ["prompt_id", "model", "status", "start", "end"]):
        if row["status"] == "unsupported":
            span = int(row["start"]), int(row["end"])
            places.setdefault((row["prompt_id"], row["model"]), []).append(span)
    return places


def choose_tasks(items: Sequence[BlindItem], places: Places) -> list[MarkedTask]:
    """The task with the largest excess of the new model's text, and the middle one."""

    def excess(item: BlindItem) -> int:
        base, policy = (len(places.get((item.prompt_id, model), [])) for model in ("base", "policy"))
        return policy - base

    shown = [item for item in items if item.status == "shown"]
    ranked = sorted(shown, key=lambda item: (-excess(item), hex_digest("made up", item.prompt)))
    chosen = {MOST: ranked[:1], MIDDLE: ranked[len(ranked) // 2 :][:1] if len(ranked) > 1 else []}
    return [_mark(why, item, places) for why, found in chosen.items() for item in found]


def _mark(why: str, item: BlindItem, places: Places) -> MarkedTask:
    base, policy = (places.get((item.prompt_id, model), []) for model in ("base", "policy"))
    before, now = cut(item.base_completion, base), cut(item.policy_completion, policy)
    return MarkedTask(why, item.prompt, [("Starting model", before), ("New model", now)])


def cut(text: str, spans: Sequence[tuple[int, int]]) -> list[Marked]:
    """The text in pieces; ValueError where a span lies outside of it or on another one."""
    pieces, at = [], 0
    for start, end in sorted(spans):
        if not at <= start < end <= len(text):
            raise ValueError(
                f"a mention from {start} to {end} does not lie in its text of {len(text)} characters"
            )
        pieces += [Marked(text[at:start], False), Marked(text[start:end], True)]
        at = end
    return [piece for piece in [*pieces, Marked(text[at:], False)] if piece.text]
