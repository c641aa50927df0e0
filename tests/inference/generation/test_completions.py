"""The clean-up of completions."""

import pytest

from stages.inference.generation.completions import clean_completion


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("We run a clinic.<|im_end|>", "We run a clinic."),
        ("<|im_start|>assistant\nWe run a clinic.", "We run a clinic."),
        ("assistant\nWe run a clinic.", "We run a clinic."),
        ("[INST] We run a clinic. [/INST]", "We run a clinic."),
        ("<s>We run a clinic.</s>", "We run a clinic."),
        ("We run a clinic.<end_of_turn>", "We run a clinic."),
    ],
)
def test_role_tags_go(raw: str, text: str) -> None:
    cleaned = clean_completion(raw, finish_reason="eos")
    assert cleaned.text == text
    assert cleaned.removed_role_tags


def test_the_word_assistant_in_a_sentence_stays() -> None:
    raw = "Our assistant\u2019s salary is funded; the user pays nothing."
    assert clean_completion(raw, finish_reason="eos") == (raw, False, False)


def test_a_cut_text_is_trimmed_to_its_last_whole_sentence() -> None:
    cleaned = clean_completion('We serve 40 families. They said "thank you." Next ye', finish_reason="length")
    assert cleaned.text == 'We serve 40 families. They said "thank you."'
    assert cleaned.trimmed


def test_a_decimal_point_ends_no_sentence() -> None:
    cleaned = clean_completion("It costs 3.5 million a ye", finish_reason="length")
    assert cleaned.text == "It costs 3.5 million a ye"
    assert not cleaned.trimmed


def test_a_text_that_ended_by_itself_is_not_trimmed() -> None:
    assert clean_completion("We serve. And then", finish_reason="eos").text == "We serve. And then"


def test_a_cut_text_that_happens_to_end_a_sentence_is_not_called_trimmed() -> None:
    assert not clean_completion("We serve.", finish_reason="length").trimmed
