import itertools
import re
from fractions import Fraction

import pytest

from stages.decision.judge import judge_accuracy, judge_capability, judge_winrate, summarize_gates, unmeasured
from stages.decision.verdicts import parse_gates
from stages.reporting.coverage import Coverage, Measures
from stages.reporting.excerpts import N_EXCERPTS, choose_excerpts, parse_scores
from stages.reporting.story import BADGES, Story, tell_story
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
    n_checks=12,
    minutes_per_view=2.0,
    max_new_tokens=96,
    is_synthetic=False,
    split_sha256="5",
    period=None,
)


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
    return tell_story(parse_gates({"gate": gates}), measures, LIMITS, coverage, study_reason=study_reason)


def whole_story(**changed) -> Story:
    return tell(
        **{"accuracy": make_accuracy(), "winrate": make_winrate(), "capability": make_capability(), **changed}
    )


def sentences(story: Story) -> list[str]:
    rows = itertools.chain.from_iterable(
        (row.question, f"{row.target}.", f"{row.result}.", f"{row.between}.", row.said) for row in story.rows
    )
    return [
        *story.banner,
        story.answer,
        story.intro,
        *rows,
        *story.meaning,
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
    ("state", "answer"),
    [
        ("invalid", "No answer: the test “Our editors’ taste” cannot be used, because"),
        ("fail", "No: the new model failed the test “Our editors’ taste”."),
        ("pending", "Not yet: the test “Blind test” is not finished."),
        ("inconclusive", "Not yet: the test “Our editors’ taste” did not settle the matter."),
        ("pass", "Yes: the new model passed all three tests, though"),
        ("confirmed", "Yes: the new model passed all three tests, each with room to spare."),
    ],
)
def test_each_overall_state_has_its_answer(state, answer):
    assert STORIES[state].answer.startswith(answer)
    assert STORIES[state].badge == BADGES[state]


def test_several_tests_are_named_together():
    story = tell(None, None, make_capability())
    assert story.answer == "Not yet: the tests “Blind test” and “Our editors’ taste” are not finished."


def test_only_pass_and_confirmed_say_yes():
    assert {state for state, story in STORIES.items() if story.answer.startswith("Yes")} == {
        "pass",
        "confirmed",
    }
    assert {state for state, story in STORIES.items() if story.next_step[0].startswith("Release")} == {
        "pass",
        "confirmed",
    }


def test_made_up_data_and_small_runs_are_said_first():
    assert STORIES["pass"].banner == []
    story = whole_story(
        accuracy=make_accuracy(45, 60),
        coverage=COVERAGE._replace(is_synthetic=True, n_trained=48, n_holdout_scored=60),
        facts=make_facts(is_synthetic=True),
    )
    assert story.banner == [
        "REHEARSAL on made-up data. Decide nothing from this page.",
        "Small run: the model learned from 48 of 2,000 pairs and was tested on 60 of 300 set-aside pairs.",
    ]
    assert story.answer == "Not yet: this is a rehearsal on made-up data, so it can release nothing."


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


def test_numbers_are_told_in_a_hundred_with_their_range():
    # 222 / 300 = 74 %, Wilson 95 %: 0.6877 to 0.7863; 66 % of 150 judgements: 0.5810 to 0.7310
    rows = {row.name: row for row in STORIES["pass"].rows}
    assert rows["accuracy"].result == "222 of 300 pairs (74\u202f%)"
    assert rows["accuracy"].between == "68.8 to 78.6 of 100"
    assert rows["winrate"].result == "66 of 100 (better 96 times, equal 6, worse 48)"
    assert rows["winrate"].between == "58.1 to 73.1 of 100"
    assert rows["capability"].result == "0.5 points lower (8,425 of 14,042 right before, 8,355 now)"
    assert rows["capability"].between == "From 0.5 points higher to 1.5 points lower"
    winrate, accuracy, capability = STORIES["pass"].meaning
    assert "about 66 of them, a tie being half. The true number likely lies between 58 and 73." in winrate
    assert "about 74, likely between 69 and 79." in accuracy
    assert "We can rule out a drop larger than 1.5 points." in capability


def test_a_gain_is_not_told_as_a_loss():
    gain = make_capability(0, 300, low=-0.03, high=-0.01, high_two_sided=-0.005)
    story = whole_story(capability=gain)
    assert "2.1 points higher" in story.meaning[2]
    assert "We can rule out that it knows less." in story.meaning[2]
    assert story.rows[2].between == "From 3 points higher to 1 point higher"


def test_what_is_not_measured_is_said_to_be_so():
    story = tell()
    assert [row.result for row in story.rows] == ["Not measured yet"] * 3
    assert [row.between for row in story.rows] == [""] * 3
    assert [row.plot for row in story.rows] == [None] * 3
    assert all("cannot say yet" in line for line in story.meaning)


def test_numbers_that_cannot_be_used_are_not_explained():
    lines = STORIES["invalid"].meaning
    assert (
        lines[1] == "The numbers of the test “Our editors’ taste” cannot be used, so they mean nothing yet."
    )
    assert "66 of them" in lines[0]


def test_judging_is_priced_in_pairs_of_texts():
    # 62 x 2 min = 2.07 h; 186 x 2 min = 6.2 h
    assert STORIES["pending"].next_step[0] == (
        "Three editors judge 62 pairs of texts each, 186 in all. "
        "Planned at 2 min a pair, that is 2.1 hours each and 6.2 hours in all."
    )


def test_the_studys_own_words_stand_apart():
    reason = "No page was sent."
    verdict = unmeasured("pending", "0 of the 150 ballots are in.", reason)
    gates = summarize_gates(accuracy=verdict, winrate=verdict, capability=verdict)
    story = tell_story(
        parse_gates({"gate": gates}), Measures(None, None, None), LIMITS, COVERAGE, study_reason=reason
    )
    assert [row.quoted for row in story.rows] == [reason, "", ""]
    assert story.rows[0].said == "0 of the 150 ballots are in."


def test_no_claim_beyond_our_own_editors():
    for story in STORIES.values():
        text = " ".join(sentences(story))
        assert "three of our own editors" in text
        assert "Liking is not funding." in text
        assert "No one checked the facts." in text


def test_every_percent_sign_stands_with_its_count():
    for story in STORIES.values():
        for line in sentences(story):
            assert line.count("%") == len(re.findall(r"[\d,]+ of [\d,]+ pairs \([\d.]+\u202f%\)", line))


def test_the_plot_puts_the_interval_against_the_target():
    plots = {row.name: row.plot for row in STORIES["pass"].rows}
    accuracy, drop = plots["accuracy"], plots["capability"]
    assert 12 < accuracy.target.x < accuracy.low < accuracy.value < accuracy.high < 228  # 68 < 68.8
    assert accuracy.value == pytest.approx(12 + 0.74 * 216, abs=0.01)
    assert accuracy.good_to == 228
    assert 12 < drop.low < 120 < drop.value < drop.high < drop.target.x < 228
    assert (drop.good_from, drop.good_to) == (12, drop.target.x)
    assert "likely 68.8 to 78.6 of 100" in accuracy.alt
    assert "The limit is 2 points lower." in drop.alt


def test_a_large_drop_widens_its_scale():
    capability = make_capability(2000, 0, low=0.12, high=0.153, high_two_sided=0.16)
    plot = whole_story(capability=capability).rows[2].plot
    assert plot.ticks[-1].label == "16 lower"
    assert plot.high < 228


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
