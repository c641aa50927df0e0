from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stages.inference.mmlu.questions import (
    CATEGORY_OF,
    MmluAnswer,
    MmluQuestion,
    leave_out_asked,
    make_questions,
    sample_questions,
)
from tests.support.mmlu_factory import make_answer, make_question

SUBJECTS = sorted(CATEGORY_OF)


def question_bank(sizes: list[int]) -> list[MmluQuestion]:
    return make_questions(
        (SUBJECTS[number], f"Question {place}?", ["1", "2", "3", "4"], place % 4)
        for number, size in enumerate(sizes)
        for place in range(size)
    )


def ids(items: list[MmluQuestion]) -> set[str]:
    return {item.question_id for item in items}


banks = st.lists(st.integers(1, 9), min_size=1, max_size=6).map(question_bank)


def test_there_are_57_subjects_in_four_categories() -> None:
    # 19 + 13 + 12 + 13, as lm-eval tags them
    assert Counter(CATEGORY_OF.values()) == {"stem": 19, "humanities": 13, "social_sciences": 12, "other": 13}


@given(bank=banks, seed=st.integers(0, 99), data=st.data())
def test_a_larger_sample_only_adds_questions(
    bank: list[MmluQuestion], seed: int, data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, len(bank)))
    smaller = data.draw(st.integers(1, n))
    large = sample_questions(bank, n=n, seed=seed)
    assert len(large) == n
    assert ids(sample_questions(bank, n=smaller, seed=seed)) <= ids(large)


@given(bank=banks, data=st.data())
def test_the_sample_does_not_depend_on_the_order_of_the_source(
    bank: list[MmluQuestion], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(bank))
    n = data.draw(st.integers(1, len(bank)))
    assert sample_questions(shuffled, n=n, seed=1) == sample_questions(bank, n=n, seed=1)


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8), data=st.data())
def test_each_subject_gets_its_share_of_the_sample(sizes: list[int], data: st.DataObject) -> None:
    bank = question_bank(sizes)
    n = data.draw(st.integers(1, len(bank)))
    taken = Counter(item.subject for item in sample_questions(bank, n=n, seed=3))
    # Sainte-Lague, the slow way: give one question at a time to the subject with the largest
    # size / (2 * taken + 1). Ties may fall either way, so compare the quotients that were served.
    slow: Counter[str] = Counter()
    served = []
    for _ in range(n):
        quotients = {SUBJECTS[k]: size / (2 * slow[SUBJECTS[k]] + 1) for k, size in enumerate(sizes)}
        best = max(quotients, key=lambda name: quotients[name])
        served.append(quotients[best])
        slow[best] += 1
    ours = [
        sizes[SUBJECTS.index(name)] / (2 * rank + 1)
        for name, n_taken in taken.items()
        for rank in range(n_taken)
    ]
    assert sorted(ours, reverse=True) == pytest.approx(sorted(served, reverse=True))


def test_another_seed_draws_another_sample() -> None:
    bank = question_bank([9, 9])
    samples = {tuple(sorted(ids(sample_questions(bank, n=6, seed=seed)))) for seed in range(8)}
    assert len(samples) > 4


def test_the_first_questions_are_not_preferred() -> None:
    bank = question_bank([40])
    first = {item.question_id for item in bank[:10]}
    n_first = [len(ids(sample_questions(bank, n=10, seed=seed)) & first) for seed in range(60)]
    assert 1.8 < sum(n_first) / 60 < 3.2  # 10 of 40 expect 10 * 10 / 40 = 2.5


def test_more_questions_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="3 questions are wanted, 2 are there"):
        sample_questions(question_bank([2]), n=3, seed=1)


def test_equal_ids_mean_equal_texts() -> None:
    question = make_question()
    assert make_question().question_id == question.question_id
    others = [
        make_question("Which is a color?"),
        make_question(subject="virology"),
        make_question(choices=["red", "two", "run", "or"]),
        make_question(gold=1),
    ]
    assert len({other.question_id for other in [question, *others]}) == 5
    assert question.question_id.startswith("anatomy-")


def test_a_repeated_question_keeps_an_id_of_its_own() -> None:
    row = ("anatomy", "Which is a colour?", ["red", "two", "run", "and"], 0)
    first, second, third = make_questions([row, row, row])
    assert second.question_id == f"{first.question_id}-2"
    assert third.question_id == f"{first.question_id}-3"


def test_a_question_that_is_asked_is_no_example() -> None:
    asked, spaced, other = (
        make_question("Which is a colour?"),
        make_question("Which is  a colour? "),
        make_question("Which is a verb?"),
    )
    moved = make_question("Which is a colour?", choices=["two", "red", "run", "and"], gold=1)
    kept = leave_out_asked({"anatomy": [spaced, other, moved], "virology": [other]}, [asked])
    assert kept == {"anatomy": [other], "virology": [other]}


@pytest.mark.parametrize(
    "changes",
    [
        {"correct": False},
        {"predicted": 0},
        {"predicted": 0, "correct": False},
        {"logprobs": [-2.0, float("nan"), -2.0, -2.0]},
        {"logprobs": [-1.0, -2.0, -2.0]},
        {"gold": 4},
    ],
)
def test_an_answer_that_contradicts_itself_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MmluAnswer.model_validate(make_answer().model_dump() | changes)


def test_of_equal_options_either_may_have_been_predicted() -> None:
    row = make_answer().model_dump() | {"logprobs": [-1.0, -1.0, -2.0, -2.0]}
    assert MmluAnswer.model_validate(row).correct
