import hashlib
from collections import Counter
from itertools import product

import pytest

from stages.study.design import below, draw_pages, draw_sides, lot, place_repeats, shuffled
from stages.study.prereg import Prereg
from tests.support.study_factory import make_prereg

ANCHORS = ["a1", "a2", "a3"]


def secret(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def make_design(
    n_editors: int = 3, n_repeats: int = 10, min_repeat_distance: int = 15, n_anchors: int = 2
) -> Prereg:
    editors = [f"editor-{number}" for number in range(n_editors)]
    return make_prereg(
        editors=editors, n_repeats=n_repeats, min_repeat_distance=min_repeat_distance, n_anchors=n_anchors
    )


def prompts(n: int) -> list[str]:
    return [f"p{number:03d}" for number in range(n)]


@pytest.mark.parametrize(("n_prompts", "n_editors"), list(product([1, 2, 7, 49, 50], [2, 3, 4, 5])))
def test_sides_are_balanced_over_editors_and_over_prompts(n_prompts: int, n_editors: int) -> None:
    editors = make_design(n_editors).editors
    for number in range(10):
        sides = draw_sides(secret(number), prompts(n_prompts), editors)
        per_editor = [sum(sides[editor].values()) for editor in editors]
        per_prompt = [sum(sides[editor][prompt] for editor in editors) for prompt in prompts(n_prompts)]
        assert set(per_editor) <= {n_prompts // 2, (n_prompts + 1) // 2}
        assert set(per_prompt) <= {n_editors // 2, (n_editors + 1) // 2}
        if n_prompts % 2 == 0:
            assert set(per_editor) == {n_prompts // 2}


def test_who_gets_the_odd_item_is_drawn_by_lot() -> None:
    editors = make_design().editors
    patterns = Counter(
        tuple(sum(draw_sides(secret(number), prompts(7), editors)[editor].values()) for editor in editors)
        for number in range(200)
    )
    assert set(patterns) == {p for p in product([3, 4], repeat=3) if sum(p) in (10, 11)}


def test_each_prompt_stands_left_half_of_the_time_for_each_editor() -> None:
    editors, n = make_design().editors, 400
    lefts = Counter()
    for number in range(n):
        sides = draw_sides(secret(number), prompts(10), editors)
        lefts.update(
            (editor, prompt) for editor in editors for prompt in prompts(10) if sides[editor][prompt]
        )
    # 400 fair lots: 200 +- 10 (one standard deviation); 30 cells, so 4.5 deviations
    assert all(155 < lefts[editor, prompt] < 245 for editor in editors for prompt in prompts(10))


def test_editors_agree_on_the_side_no_more_than_the_balance_forces() -> None:
    editors, n_same, n_all = make_design().editors, 0, 0
    for number in range(100):
        sides = draw_sides(secret(number), prompts(50), editors)
        n_same += sum(sides[editors[0]][prompt] == sides[editors[1]][prompt] for prompt in prompts(50))
        n_all += 50
    # two of three always share a side: each pair agrees on a third of the prompts
    assert n_same / n_all == pytest.approx(1 / 3, abs=0.03)


@pytest.mark.parametrize("number", range(20))
def test_a_page_shows_every_prompt_once_and_repeats_swapped_and_later(number: int) -> None:
    design = make_design()
    pages = draw_pages(secret(number), prompts(50), ANCHORS, design)
    for page in pages.values():
        kinds = Counter(slot.kind for slot in page)
        assert kinds == {"item": 50, "repeat": 10, "anchor": 2}
        assert len({slot.slot_id for slot in page}) == 62
        items = {
            slot.item_id: (position, slot.left) for position, slot in enumerate(page) if slot.kind == "item"
        }
        assert len(items) == 50
        for position, slot in enumerate(page):
            if slot.kind == "repeat":
                first, left = items[slot.item_id]
                assert position - first >= 15
                assert {left, slot.left} == {"policy", "base"}
            if slot.kind == "anchor":
                assert slot.left in ("better", "worse")


def test_orders_differ_between_editors_and_between_secrets() -> None:
    design = make_design(n_repeats=0, n_anchors=0)
    orders = {
        tuple(slot.item_id for slot in page)
        for number in range(3)
        for page in draw_pages(secret(number), prompts(50), [], design).values()
    }
    assert len(orders) == 9


def test_the_same_secret_draws_the_same_whatever_order_the_prompts_come_in() -> None:
    design = make_design()
    drawn = draw_pages(secret(1), prompts(50), ANCHORS, design)
    assert drawn == draw_pages(secret(1), prompts(50)[::-1], ANCHORS[::-1], design)
    assert drawn != draw_pages(secret(2), prompts(50), ANCHORS, design)


def test_a_tight_design_still_keeps_its_distance() -> None:
    placed = place_repeats(secret(1), "e", 20, 10, 10)
    assert all(second - first >= 10 for first, second in zip(*placed, strict=True))
    assert len({*placed.first, *placed.second}) == 20


def test_repeats_are_spread_over_the_page() -> None:
    seconds = Counter()
    for number in range(300):
        seconds.update(place_repeats(secret(number), "e", 62, 10, 15).second)
    assert set(seconds) == set(range(15, 62))


@pytest.mark.parametrize(
    ("n_prompts", "changes", "message"),
    [
        (0, {}, "no prompt left"),
        (50, {"n_anchors": 4}, "n_anchors is 4, and there are 3"),
        (8, {"n_repeats": 9}, "n_repeats is 9, and 8 prompts"),
        (12, {"n_repeats": 2}, "lower study.n_repeats or study.min_repeat_distance"),
    ],
)
def test_a_design_that_does_not_fit_says_so(n_prompts, changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        draw_pages(secret(1), prompts(n_prompts), ANCHORS, make_design(**changes))


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="31 bytes"):
        draw_pages(b"x" * 31, prompts(50), ANCHORS, make_design())


def test_lots_are_fair_and_names_do_not_run_together() -> None:
    draws = Counter(below(secret(1), 5, str(number)) for number in range(5000))
    assert all(900 < draws[value] < 1100 for value in range(5))  # 1000 +- 28, 3.5 deviations
    assert lot(secret(1), "ab", "c") != lot(secret(1), "a", "bc")
    assert shuffled(secret(1), "x", ["a", "b", "c"]) == shuffled(secret(1), "x", ["c", "a", "b"])


def test_no_editor_can_count_on_being_the_odd_one_equally_often() -> None:
    editors, counts = make_design().editors, set()
    for number in range(40):
        one, two, three = (draw_sides(secret(number), prompts(50), editors)[editor] for editor in editors)
        counts.add(sum(two[prompt] == three[prompt] != one[prompt] for prompt in prompts(50)))
    assert len(counts) > 4  # a balanced block design without mixing gives 16 or 17 every time
