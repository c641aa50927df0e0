import itertools
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.decision.judge import judge_accuracy, judge_capability, judge_winrate, summarize_gates, unmeasured
from stages.decision.verdicts import parse_gates
from stages.reporting.bars import A_LETTER, MOST_GAPS, NARROWEST, draw_change, draw_share
from stages.reporting.cards import BADGES
from stages.reporting.coverage import Coverage, Measures
from stages.reporting.excerpts import N_EXCERPTS, choose_excerpts, parse_scores
from stages.reporting.identity import Commit, Identity, Judging, identify
from stages.reporting.story import Notice, Story, tell_story
from stages.study.items import BlindItem
from tests.support.decision_factory import (
    LIMITS,
    item_row,
    make_accuracy,
    make_capability,
    make_facts,
    make_winrate,
)
from tests.support.reading import reading_grade

COVERAGE = Coverage(
    n_trained=2000,
    n_train=2000,
    n_holdout_scored=300,
    n_holdout=300,
    n_questions=14042,
    min_questions=14042,
    n_prompts=50,
    n_editors=3,
    n_tasks_planned=50,
    n_tasks_shown=50,
    n_checks=12,
    minutes_per_view=2.0,
    max_new_tokens=96,
    is_synthetic=False,
    split_sha256="5",
    period=None,
)


NOBODY = Identity("", [])


def tell(
    accuracy=None, winrate=None, capability=None, *, coverage=COVERAGE, facts=None, study_reason=""
) -> Story:
    facts = facts or make_facts()
    gates = summarize_gates(
        accuracy=judge_accuracy(accuracy, facts, limits=LIMITS.accuracy),
        winrate=judge_winrate(winrate, facts, limits=LIMITS.winrate),
        capability=judge_capability(capability, facts, limits=LIMITS.capability),
    )
    measures = Measures(accuracy, winrate, capability)
    return tell_story(
        parse_gates({"gate": gates}), measures, LIMITS, coverage, identity=NOBODY, study_reason=study_reason
    )


def whole_story(**changed) -> Story:
    return tell(
        **{"accuracy": make_accuracy(), "winrate": make_winrate(), "capability": make_capability(), **changed}
    )


def sentences(story: Story) -> list[str]:
    cards = itertools.chain.from_iterable((card.question, card.why, *card.notes) for card in story.cards)
    return [
        *(notice.text for notice in story.notices),
        story.answer,
        story.because,
        story.intro,
        *cards,
        story.bars_mean,
        *story.untested,
        *story.risks,
        *story.next_step,
    ]


FAILED = make_accuracy(150)
UNSETTLED = make_accuracy(204)
CONFIRMED = {
    "accuracy": make_accuracy(270),
    "winrate": make_winrate(120, 0, 30),
    "capability": make_capability(low=0.0, high=0.006, high_two_sided=0.007),
}
STORIES = {
    "invalid": whole_story(accuracy=make_accuracy(split_sha256="6")),
    "fail": whole_story(accuracy=FAILED),
    "pending": whole_story(winrate=None),
    "inconclusive": whole_story(accuracy=UNSETTLED),
    "pass": whole_story(),
    "confirmed": whole_story(**CONFIRMED),
}


@pytest.mark.parametrize(
    ("state", "answer", "because"),
    [
        ("invalid", "No answer yet.", "A check on the test “Our editors’ taste” itself went wrong"),
        ("fail", "No, not this one.", "The new model failed the test “Our editors’ taste”."),
        ("pending", "Not yet.", "The test “Blind test” is not finished."),
        ("inconclusive", "Not settled yet.", "The test “Our editors’ taste” did not settle the matter."),
        ("pass", "Yes, release it.", "It passed all three tests. Two were narrow: “Blind test” and"),
        ("confirmed", "Yes, release it.", "It passed all three tests, each of them clearly."),
    ],
)
def test_each_overall_state_has_its_answer_and_names_the_test(state, answer, because):
    assert STORIES[state].answer == answer
    assert STORIES[state].because.startswith(because)
    assert STORIES[state].badge == BADGES[state]
    assert len(answer.split()) <= 4


def test_several_tests_are_named_together():
    story = tell(None, None, make_capability())
    assert story.because == "The tests “Blind test” and “Our editors’ taste” are not finished."


def test_only_pass_and_confirmed_say_yes():
    yes = {"pass", "confirmed"}
    assert {state for state, story in STORIES.items() if story.answer.startswith("Yes")} == yes
    assert {state for state, story in STORIES.items() if story.next_step[0].startswith("Release")} == yes


def test_made_up_data_and_small_runs_are_said_once_with_their_level():
    assert STORIES["pass"].notices == []
    story = whole_story(
        accuracy=make_accuracy(45, 60),
        coverage=COVERAGE._replace(is_synthetic=True, n_trained=48, n_holdout_scored=60),
        facts=make_facts(is_synthetic=True),
    )
    assert story.notices == [
        Notice("stop", "Rehearsal on made-up data. Decide nothing from this page."),
        Notice("caution", "Small run: the model learned from 48 of 2,000 pairs."),
    ]
    assert story.because == "This is a rehearsal on made-up data, so it can release nothing."
    assert [card.why for card in story.cards] == ["", "Only 60 of the 300 held-out pairs were scored.", ""]


def test_an_invalid_gate_outranks_the_rehearsal_in_the_answer():
    story = whole_story(
        accuracy=make_accuracy(split_sha256="6"), coverage=COVERAGE._replace(is_synthetic=True)
    )
    assert story.answer.startswith("No answer")


@pytest.mark.parametrize("state", STORIES)
def test_the_story_reads_at_grade_nine_or_below(state):
    assert reading_grade("\n".join(sentences(STORIES[state]))) <= 9


def test_the_grade_knows_hard_from_easy():
    assert reading_grade("The cat sat on the mat. It was fat.") < 2
    hard = "Statistically considerable heterogeneity necessitates particularly conservative interpretation"
    assert reading_grade(hard) > 15


def test_a_card_has_a_large_number_and_counts_of_the_same_whole():
    # 222 / 300 = 74 in 100; (96 + 6 / 2) / 150 = 66 in 100
    numbers = {card.name: card.number for card in STORIES["pass"].cards}
    assert numbers["accuracy"] == ("74", "of 100 pairs", "222 of 300")
    assert numbers["winrate"].figure == "66"
    assert numbers["winrate"].counts == "96 better, 6 equal, 48 worse, of 150"
    assert numbers["capability"] == ("0.5", "points lower", "8,355 of 14,042 right, was 8,425")


def test_a_gain_is_not_told_as_a_loss():
    gain = make_capability(0, 300, low=-0.03, high=-0.01, high_two_sided=-0.005)
    card = whole_story(capability=gain).cards[2]
    assert card.number[:2] == ("2.1", "points higher")
    assert [mark.label for mark in card.bar.ends] == ["+1", "+3"]
    assert "from 3 points higher to 1 point higher" in card.bar.alt


def test_what_is_not_measured_has_neither_number_nor_bar():
    story = tell()
    assert [(card.number, card.bar) for card in story.cards] == [(None, None)] * 3
    assert all(card.why for card in story.cards)
    assert story.bars_mean == ""


def test_a_number_that_cannot_be_used_is_not_shown():
    winrate, accuracy, _ = STORIES["invalid"].cards
    assert (accuracy.number, accuracy.bar, list(accuracy.notes)) == (None, None, [])
    assert "means nothing until the check holds" in accuracy.why
    assert winrate.number.figure == "66"


@pytest.mark.parametrize(
    ("changed", "place", "why"),
    [
        ({}, 0, "Narrow: the result is above the target, but the bar reaches down to it or below."),
        ({}, 1, "Clear: even the low end of the bar is above the target."),
        ({}, 2, "Narrow: the bar stays within the limit, but a loss of 1 point cannot be ruled out."),
        (
            {"capability": make_capability(500, 430, high=0.0094, high_two_sided=0.0101)}, 2,
            "Narrow: the bar stays within the limit, but a loss of 1 point cannot be ruled out with the certainty that a clear "
            "pass needs.",
        ),
        (
            {"capability": make_capability(500, 430, high=0.021, high_two_sided=0.03, at_floor=True)}, 2,
            "The starting model does hardly better than guessing here, so a loss could not be seen.",
        ),
        (CONFIRMED, 2, "Clear: a loss of 1 point or more can be ruled out."),
        ({"accuracy": FAILED}, 1, "Even the high end of the bar is below the target."),
        ({"accuracy": make_accuracy(204)}, 1, "The result is not above the target, but the bar still reaches it."),
        (
            {"accuracy": make_accuracy(222, longer_wins=0.7)}, 1,
            "The result is above the target, but the bar does not rule out that a rule that only looks at length does as well.",
        ),
        ({"capability": make_capability(1200, 500, high_two_sided=0.07)}, 2, "Even the better end of the bar is beyond the limit."),
        (
            {"capability": make_capability(500, 430, high=0.021, high_two_sided=0.03)}, 2,
            "The result is within the limit, but the bar reaches to both sides of it.",
        ),
    ],
)  # fmt: skip
def test_a_card_says_why_a_pass_is_clear_or_narrow_without_a_number_twice(changed, place, why):
    assert whole_story(**changed).cards[place].why == why


def test_the_first_line_says_who_judged_only_where_somebody_has():
    def told(**changed):
        known = {"product": "Writer", "owner": "", "base": "base-1", "study_id": "0" * 12, "commit": None}
        judged = {"judging": Judging(["ann", "ben"], date(2026, 11, 28)), "is_judged": True}
        parts = identify(**{**known, **judged, **changed}).parts
        return " · ".join(f"{part.words} {part.quoted}".strip() for part in parts)

    assert "judged by ann and ben, the last ballot of 28 November 2026 · study 000000000000" in told()
    assert "not judged yet" in told(judging=Judging([], None), is_judged=False)
    assert "the judging cannot be used" in told(is_judged=False)
    assert told(commit=Commit("abcdef0123", is_changed=True)).endswith("commit abcdef0 and changes since")
    assert told(product="", owner="Quill").startswith("The new model of Quill")


def test_judging_is_priced_in_pairs_of_texts():
    # 62 x 2 min = 2.07 h; 186 x 2 min = 6.2 h
    assert STORIES["pending"].next_step[0] == (
        "Three editors judge 62 pairs of texts each, 186 in all. "
        "Planned at 2 min a pair, that is 2.1 hours each and 6.2 hours in all."
    )


def test_the_studys_own_words_are_for_those_who_run_it():
    reason = "No page was sent; run `bluepencil study open`."
    verdict = unmeasured("pending", "0 of the 150 ballots are in.", reason)
    gates = summarize_gates(accuracy=verdict, winrate=verdict, capability=verdict)
    story = tell_story(
        parse_gates({"gate": gates}),
        Measures(None, None, None),
        LIMITS,
        COVERAGE,
        identity=NOBODY,
        study_reason=reason,
    )
    assert {card.why for card in story.cards} == {"0 of the 150 ballots are in."}


def test_no_claim_beyond_our_own_editors():
    for story in STORIES.values():
        text = " ".join(sentences(story))
        assert "three of our own editors" in text
        assert "Liking is not success." in text
        assert "No one checked the facts." in text


def test_a_bar_puts_the_range_against_the_line_and_better_to_the_right():
    bars = {card.name: card.bar for card in STORIES["pass"].cards}
    taste, knowledge = bars["accuracy"], bars["capability"]
    # from 50 to 80 by tens: 68 stands at 60 %, 74 at 80 %
    assert [mark.label for mark in taste.ticks] == ["50", "60", "70", "80"]
    assert (taste.line.at, taste.value) == (60, 80)
    assert taste.line.at < taste.low < taste.value < taste.high < 100  # 68 < 68.8
    assert knowledge.line.at < knowledge.low < knowledge.value < knowledge.high
    assert [mark.label for mark in knowledge.ends] == ["−1.5", "+0.5"]
    assert knowledge.line.label == "limit −2"
    assert "likely between 68.8 and 78.6" in taste.alt
    assert "The limit is 2 points lower." in knowledge.alt


@given(st.tuples(*[st.integers(0, 1000)] * 3), st.integers(500, 990))
def test_labels_of_a_bar_never_touch_and_never_leave_a_small_phone(parts, target):
    low, value, high = sorted(part / 1000 for part in parts)
    share = draw_share(value, low, high, target=Fraction(target, 1000), chance=Fraction(1, 2), alt="")
    drop = draw_change(value - 0.5, low - 0.5, high - 0.5, limit=Fraction(target, 10_000), alt="")
    for bar in (share, drop):
        assert len(bar.ticks) <= MOST_GAPS + 1
        assert all(float(mark.label.replace("−", "-")).is_integer() for mark in bar.ticks)  # round
        for marks in (bar.ticks, bar.ends, [bar.line]):
            edge = 0.0
            for mark in marks:
                width = A_LETTER * len(mark.label)
                start = mark.at / 100 * (NARROWEST - width)
                assert start >= edge - 1e-6
                edge = start + width
            assert edge <= NARROWEST + 1e-6


def items(n: int, **changed) -> list[BlindItem]:
    return [BlindItem.model_validate(item_row(number, **changed)) for number in range(n)]


def test_lots_do_not_depend_on_the_order_or_on_the_texts():
    there = items(20)
    chosen = [excerpt.prompt for excerpt in choose_excerpts(there, {}).shown]
    assert len(chosen) == N_EXCERPTS
    assert [excerpt.prompt for excerpt in choose_excerpts(there[::-1], {}).shown] == chosen
    better = items(20, policy_completion="A much better text.")
    assert [excerpt.prompt for excerpt in choose_excerpts(better, {}).shown] == chosen


def test_no_model_is_named_before_the_study_is_over():
    excerpts = choose_excerpts(items(20), {})
    assert "stays secret" in excerpts.rule
    assert {excerpt.first_model for excerpt in excerpts.shown} == {"One model"}
    first_is_base = {
        excerpt.first_text.startswith("The lake")
        for start in range(0, 20, 4)
        for excerpt in choose_excerpts(items(20)[start : start + 4], {}).shown
    }
    assert first_is_base == {True, False}


def test_judged_texts_are_a_clear_win_a_clear_loss_and_a_typical_one():
    there = items(9)
    scores = {item.prompt_id: Fraction(number, 8) for number, item in enumerate(there)}
    excerpts = choose_excerpts(there, scores)
    assert [(excerpt.why, excerpt.prompt) for excerpt in excerpts.shown] == [
        ("A clear win", there[8].prompt),
        ("A clear loss", there[0].prompt),
        ("A typical case", there[4].prompt),
    ]
    for excerpt in excerpts.shown:
        assert (excerpt.first_model, excerpt.second_model) == ("Starting model", "New model")
        assert excerpt.first_text.startswith("The lake")


def test_two_judged_texts_are_shown_once_each():
    there = items(2)
    excerpts = choose_excerpts(there, {item.prompt_id: Fraction(1, 2) for item in there})
    assert len({excerpt.prompt for excerpt in excerpts.shown}) == len(excerpts.shown) == 2


def test_scores_are_read_as_written():
    assert parse_scores("prompt_id,score\np1,0.5\np2,1.0\n") == {"p1": Fraction(1, 2), "p2": Fraction(1)}
    assert parse_scores("prompt_id,score\n") == {}


def test_void_and_identical_texts_are_not_shown():
    there = [*items(1), *(item.model_copy(update={"identical": True}) for item in items(9))]
    assert len(choose_excerpts(there, {}).shown) == 1
    assert choose_excerpts([], {}).shown == []
