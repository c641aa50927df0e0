"""Made-up facts on the founder's page: which tasks, which marks, which words, and no model named too early."""

from fractions import Fraction
from typing import Any

import pytest

from stages.reporting.made_up import (
    MIDDLE,
    MOST,
    NOTHING,
    Marked,
    choose_tasks,
    cut,
    parse_places,
    tell_made_up,
)
from stages.study.items import BlindItem
from tests.support.reading import reading_grade

HEADER = "prompt_id,model,kind,status,start,end,text\n"
LIMIT = Fraction(1, 10)
HABIT = {
    "base": 10.0,
    "policy": 12.0,
    "unit": 4.0,
    "moved": {"sd": 0.5, "low": 0.1, "high": 0.9},
    "verdict": "beyond",
}


def item(number: int, base: str = "We run it.", policy: str = "We do it.", **changed: Any) -> BlindItem:
    fields = {
        "prompt_id": f"p{number}", "prompt": f"Prompt {number}.", "base_completion": base, "policy_completion": policy,
        "identical": False, "tells": [], "synthetic": False,
    }  # fmt: skip
    return BlindItem.model_validate(fields | changed)


def document(difference: float = 0.1, low: float = -0.4, high: float = 0.6, **changed: Any) -> dict[str, Any]:
    rate = {"base": 1.0, "policy": 1.0 + difference, "difference": difference, "low": low, "high": high}
    section = {
        "checked": True, "n_prompts": 50, "n_other_language": 0, "n_empty": 0,
        "base": {"n_unsupported": 31, "n_words": 3000}, "policy": {"n_unsupported": 33, "n_words": 3000},
        "unsupported_per_100_words": rate, "kinds": {"figure": rate, "name": rate},
        "habits": {"numbers": HABIT, "length": HABIT},
    }  # fmt: skip
    return {"writing": section | changed}


def tell(found: dict[str, Any] | None, *, is_judged: bool = True) -> Any:
    return tell_made_up(found, HEADER, [item(1), item(2)], max_rise=LIMIT, is_judged=is_judged)


def test_without_a_remark_one_sentence_gives_counts_and_a_range() -> None:
    note = tell(document(n_other_language=2)).note
    assert note == (
        "We cannot say that the new model makes up more, or fewer, facts. Its texts for 50 tasks hold 33 figures, dates "
        "or names that the task did not give. The starting model’s hold 31. That is 0.1 more in 100 words (likely from "
        "0.4 fewer to 0.6 more). 2 tasks not in English could not be checked."
    )
    assert reading_grade(note) <= 9
    assert tell(document(-0.5, -0.9, -0.1)).note.startswith("The new model makes up fewer facts.")


def test_with_a_remark_the_sentence_is_not_said_twice() -> None:
    assert tell(document(0.5, 0.1, 0.9)).note == ""


def test_what_was_not_checked_leaves_nothing_on_the_page() -> None:
    unchecked = {"checked": False, "n_prompts": 0, "n_other_language": 50, "n_empty": 0}
    for found in (None, {"writing": unchecked}, {"writing": {}}, document(kinds=3)):
        assert tell(found) == NOTHING


def test_the_tables_give_both_models_the_change_and_its_range_length_first() -> None:
    kinds, habits = tell(document()).tables
    assert kinds.rows[0] == ("All together", "1", "1.1", "0.1", "−0.4 to 0.6")
    assert [row[0] for row in kinds.rows[1:]] == ["Figures", "Names"]
    assert habits.rows[0][:5] == (
        "Words in a text",
        "10",
        "12",
        "2",
        "0.4 to 3.6",
    )  # 0.1 and 0.9 of a unit of 4
    assert habits.rows[0][5].startswith("The way our editors like, and further")


def test_a_text_is_cut_where_its_made_up_facts_stand() -> None:
    assert cut("In 2019 in Leeds", [(11, 16), (3, 7)]) == [
        Marked("In ", False), Marked("2019", True), Marked(" in ", False), Marked("Leeds", True),
    ]  # fmt: skip
    for wrong in ([(3, 99)], [(3, 7), (5, 9)], [(7, 3)]):
        with pytest.raises(ValueError, match="does not lie in its text"):
            cut("In 2019 in Leeds", wrong)


def rows(*found: tuple[str, str, int]) -> str:
    lines = [
        f"{prompt},{model},year,unsupported,{n},{n + 1},2\n"
        for prompt, model, count in found
        for n in range(count)
    ]
    return HEADER + "".join(lines) + "p9,base,year,supported,0,1,2\n"


def test_the_task_with_the_most_made_up_and_the_middle_one_are_shown() -> None:
    items = [item(n) for n in range(1, 6)] + [
        item(6, identical=True),
        item(7, policy="We do it. It may", tells=[]),
    ]
    places = parse_places(
        rows(("p1", "policy", 1), ("p2", "policy", 4), ("p3", "base", 6), ("p6", "policy", 7))
    )
    named = choose_tasks(items, places)
    assert (named[0].why, named[0].prompt) == (MOST, "Prompt 2.")
    assert named[1].why == MIDDLE
    assert [name for name, _ in named[0].sides] == ["Starting model", "New model"]
    assert sum(part.is_made_up for part in named[0].sides[1][1]) == 4


def test_before_the_study_is_over_nothing_tells_how_the_models_differ() -> None:
    assert tell(document(), is_judged=False) == NOTHING
