"""A sentence's end, as every stage sees it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.files.sentences import ends_a_sentence, sentence_ends
from stages.inference.generation.completions import clean_completion


@pytest.mark.parametrize(
    ("text", "n", "whole"),
    [
        ("We serve 40 families.", 1, True),
        ('He said "no." Then he left! Did he', 2, False),
        ("It costs 3.5 million", 0, False),
        ("Really?! **Yes.** \n", 2, True),
        ("(They left.)", 1, True),
        ("Elle part…»", 1, True),
        ("我们走。他们来。", 2, True),
        ("نعم؟", 1, True),
        ("Namely:", 0, False),
        ("", 0, False),
    ],
)
def test_ends_are_counted_and_the_last_one_found(text: str, n: int, whole: bool) -> None:
    assert len(sentence_ends(text)) == n
    assert ends_a_sentence(text) is whole


@given(st.text(alphabet="ab .!?…。”)*\n:؟"))
def test_what_generation_trims_to_is_never_called_cut_off_by_the_study(text: str) -> None:
    cleaned = clean_completion(text, finish_reason="length")
    assert ends_a_sentence(cleaned.text) == bool(sentence_ends(text.strip()))


@given(st.text(alphabet="ab .!?…。”)*\n:؟"))
def test_a_text_ends_a_sentence_where_its_last_sentence_ends(text: str) -> None:
    assert ends_a_sentence(text) == (sentence_ends(text)[-1:] == [len(text.rstrip())] and text.strip() != "")
