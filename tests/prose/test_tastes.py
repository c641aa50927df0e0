"""Habits, the editors' taste in them, and where the policy moved."""

import json
from pathlib import Path

import numpy as np
import pytest

from stages.prose.changes import holm
from stages.prose.habits import Habits, measure_habits
from stages.prose.tastes import Moved, PairHabits, Taste, judge, measure_taste, pair_habits

SAMPLE = Path(__file__).parents[2] / "data/sample/pairs.jsonl"


def test_each_habit_is_counted_in_its_own_unit() -> None:
    text = "We may run 12 classes. We may help. It is the best plan.\n- One more line was added."
    habits = measure_habits(text)
    assert habits is not None
    n = 5 + 3 + 5 + 5
    assert habits.length == n
    assert habits.sentence_length == n / 4
    assert habits.lists == 1
    assert habits.hedges == pytest.approx(100 * 2 / n)
    assert habits.first_person == pytest.approx(100 * 2 / n)
    assert habits.superlatives == pytest.approx(100 * 1 / n)
    assert habits.openings == 1 / 4  # `We may` opens two of the four
    assert habits.numbers == pytest.approx(100 * 1 / n)
    assert habits.passives == pytest.approx(100 * 1 / n)
    assert measure_habits(" \u202e ") is None


def test_the_known_tastes_of_the_samples_editors_are_found() -> None:
    """Weights for exact figures, against hedging, against jargon and for the active voice (data/sample/truth.json)."""
    rows = [json.loads(line) for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
    pairs = [pair_habits(row["chosen"], row["rejected"], row["group_id"]) for row in rows]
    signs = {"numbers": 1, "hedges": -1, "reading_grade": -1, "passives": -1}
    read = [pair for pair in pairs if pair]
    found = {habit: measure_taste(read, habit, 1.0) for habit in Habits._fields}
    p_values = dict(zip(found, holm([one.p_value if one else 1.0 for one in found.values()]), strict=True))
    for habit, sign in signs.items():
        taste = found[habit]
        assert taste is not None
        assert np.sign(taste.low) == np.sign(taste.high) == sign, (habit, taste)
        assert p_values[habit] < 0.05
    assert p_values["length"] > 0.05  # both drafts of a pair are of about one length, by construction


def made_up_pairs(effect: float, n: int = 400) -> list[PairHabits]:
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(n, len(Habits._fields)))
    chosen = rng.random(n) < 1 / (1 + np.exp(-effect * rows[:, 4]))
    rows[~chosen] *= -1
    return [PairHabits(row, f"c{place // 2}") for place, row in enumerate(rows)]


def test_the_log_odds_are_those_that_made_the_choices_whichever_way_round_a_pair_stands() -> None:
    found = measure_taste(made_up_pairs(0.8), "hedges", 1.0)
    assert found is not None
    assert found.low < 0.8 < found.high
    in_other_units = measure_taste(made_up_pairs(0.8), "hedges", 2.0)
    assert in_other_units is not None
    assert in_other_units.log_odds == pytest.approx(2 * found.log_odds)
    assert in_other_units.gap == pytest.approx(found.gap / 2)


def test_choices_that_show_nothing_have_no_taste() -> None:
    pairs = made_up_pairs(0.8)
    still = [PairHabits(pair.difference * 0, pair.component_id) for pair in pairs]
    split = [PairHabits(np.abs(pair.difference), pair.component_id) for pair in pairs]
    together = [PairHabits(pair.difference, "one") for pair in pairs]
    for useless in ([], still, split, together):
        assert measure_taste(useless, "hedges", 1.0) is None


LIKED = Taste(log_odds=0.5, low=0.3, high=0.7, p_value=0.001, gap=0.4)


@pytest.mark.parametrize(
    ("moved", "taste", "verdict"),
    [
        (Moved(0.3, -0.1, 0.7, 0.2), LIKED, "unmoved"),
        (Moved(0.5, 0.2, 0.8, 0.001), LIKED, "with"),
        (Moved(0.9, 0.5, 1.3, 0.001), LIKED, "beyond"),
        (Moved(-0.9, -1.3, -0.5, 0.001), LIKED, "against"),
        (Moved(0.9, 0.5, 1.3, 0.001), None, "without"),
        (Moved(0.9, 0.5, 1.3, 0.001), LIKED._replace(p_value=0.3), "without"),
    ],
)
def test_a_move_is_set_beside_the_editors_taste(moved: Moved, taste: Taste | None, verdict: str) -> None:
    assert judge(moved, taste) == verdict


def test_a_taste_that_is_not_there_is_seldom_seen_in_a_few_large_groups() -> None:
    """Pairs of a group are alike in their texts and in the answer; at 5 % some 10 of 200 sets may look like a taste."""
    rng = np.random.default_rng(11)
    groups = np.repeat(np.arange(152), [100, 50, *[1] * 150])
    n_seen = 0
    for _ in range(200):
        rows = rng.normal(size=(152, len(Habits._fields)))[groups] * 0.55 + rng.normal(
            size=(300, len(Habits._fields))
        )
        answers = rng.normal(size=152)[groups] * 0.55 + rng.normal(size=300) > 0
        pairs = [PairHabits(row * (1 if answer else -1), str(group))
                 for row, answer, group in zip(rows, answers, groups, strict=True)]  # fmt: skip
        taste = measure_taste(pairs, "length", 1.0)
        n_seen += taste is not None and taste.p_value < 0.05
    assert n_seen <= 15  # 23 with normal quantiles and the plain variance of clusters
