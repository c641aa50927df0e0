"""Texts to tokens: as TRL renders them, or not at all."""

from typing import Any

import pytest
from trl.data_utils import _tokenize

from stages.errors import InputError, ModelError
from stages.files.pairs import PreferencePair
from stages.model.rendering import render_pair, render_pairs, render_prompt
from tests.support.tiny_models import CHAT_TEMPLATE, tiny_tokenizer


def make_pair(**changes: Any) -> PreferencePair:
    values: dict[str, Any] = {
        "pair_id": "a", "prompt": "Describe the need.", "chosen": "Forty children wait.", "rejected": "Many wait.",
        "editor": None, "group_id": None, "section": None, "reviewed_at": None, "chosen_shown": None,
        "synthetic": False,
    }  # fmt: skip
    return PreferencePair(**(values | changes))


def test_tokens_are_those_that_trl_makes_of_a_conversation() -> None:
    tokenizer, pair = tiny_tokenizer(), make_pair()
    user = [{"role": "user", "content": pair.prompt}]
    rendered = render_pair(tokenizer, pair)

    assert rendered.prompt_ids == _tokenize(tokenizer, user, add_generation_prompt=True)["input_ids"]
    for completion, ids in ((pair.chosen, rendered.chosen_ids), (pair.rejected, rendered.rejected_ids)):
        whole = _tokenize(tokenizer, [*user, {"role": "assistant", "content": completion}])["input_ids"]
        assert rendered.prompt_ids + ids == whole


def test_generation_starts_from_the_tokens_that_training_used() -> None:
    tokenizer, pair = tiny_tokenizer(), make_pair()
    assert render_prompt(tokenizer, pair.prompt) == render_pair(tokenizer, pair).prompt_ids


def test_a_template_that_renders_the_prompt_differently_alone_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE.replace(
        "<|im_start|>assistant\n{% endif", "<|im_start|>answer\n{% endif"
    )
    with pytest.raises(ModelError, match="pair a: the chat template renders the prompt alone differently"):
        render_pair(tokenizer, make_pair())


def test_a_pair_that_is_too_long_is_named_with_its_length_and_nothing_is_cut() -> None:
    tokenizer = tiny_tokenizer()
    pairs = [make_pair(), make_pair(pair_id="b", rejected="very " * 50)]
    length = render_pair(tokenizer, pairs[1]).n_longest_tokens
    with pytest.raises(InputError, match=rf"1 of 2 pairs .* b \({length}\); raise it to {length}"):
        render_pairs(tokenizer, pairs, max_length=length - 1, too_long="refuse")
    assert len(render_pairs(tokenizer, pairs, max_length=length, too_long="refuse")) == 2


def test_a_pair_that_is_too_long_is_set_aside_and_said_only_on_demand(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tokenizer = tiny_tokenizer()
    pairs = [make_pair(), make_pair(pair_id="b", rejected="very " * 50)]
    length = render_pair(tokenizer, pairs[1]).n_longest_tokens
    kept = render_pairs(tokenizer, pairs, max_length=length - 1, too_long="set_aside")
    assert [pair.pair_id for pair in kept] == ["a"]
    assert f"1 of 2 pairs have more than {length - 1} tokens: b ({length})" in capsys.readouterr().err
    with pytest.raises(InputError, match="2 of 2 pairs"):
        render_pairs(tokenizer, pairs, max_length=1, too_long="set_aside")


def test_a_template_cannot_run_code() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    with pytest.raises(ModelError, match="chat template"):
        render_pair(tokenizer, make_pair())
