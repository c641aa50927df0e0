"""Texts to tokens: as TRL renders them, or not at all."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from trl.data_utils import _tokenize

from stages.errors import InputError, ModelError
from stages.files.io import write_json
from stages.files.pairs import Conversation, Message, PreferencePair
from stages.model.checkpoint import load_tokenizer
from stages.model.manifest import Rendering
from stages.model.rendering import render_pair, render_pairs, render_prompt
from tests.support.tiny_models import CHAT_TEMPLATE, tiny_tokenizer, write_tiny_base


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


THINKING = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['role'] == 'assistant' %}<think>\n\n</think>\n\n{% endif %}{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
CHANNELS = (
    "{% for message in messages %}<|start|>{{ message['role'] }}{% if message['role'] == 'assistant' %}"
    "<|channel|>final{% endif %}<|message|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)


@pytest.mark.parametrize(
    ("template", "opening"),
    [(THINKING, "<think>\n\n</think>\n\n"), (CHANNELS, "<|channel|>final<|message|>")],
)
def test_what_stands_before_every_answer_belongs_to_the_prompt(template: str, opening: str) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    rendered = render_pair(tokenizer, make_pair())
    assert tokenizer.decode(rendered.prompt_ids).endswith(
        f"assistant{opening}" if "channel" in opening else opening
    )
    assert tokenizer.decode(rendered.chosen_ids).startswith(make_pair().chosen)
    assert render_prompt(tokenizer, make_pair().prompt) == rendered.prompt_ids


def test_a_template_kwarg_reaches_every_render(tmp_path: Path) -> None:
    folder = write_tiny_base(tmp_path / "base")
    (folder / "chat_template.jinja").write_text(THINKING)
    plain = load_tokenizer(folder)
    asked = load_tokenizer(folder, rendering=Rendering(chat_template_kwargs={"enable_thinking": False}))
    # all that it changes here is where the opening comes from
    assert render_prompt(plain, "Hi.") == render_prompt(asked, "Hi.")
    messages = [{"role": "user", "content": "Hi."}]
    given = asked.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert given.endswith("</think>\n\n")


def test_the_date_that_a_template_prints_is_the_one_that_was_settled(tmp_path: Path) -> None:
    folder = write_tiny_base(tmp_path / "base")
    (folder / "chat_template.jinja").write_text("Today: {{ strftime_now('%d %B %Y') }}\n" + CHAT_TEMPLATE)
    tokenizer = load_tokenizer(folder, rendering=Rendering(template_date="2031-02-03"))
    assert tokenizer.decode(render_prompt(tokenizer, "Hi.")).startswith("Today: 03 February 2031")
    write_json(folder / "manifest.json", {"rendering": {"template_date": "2032-01-01"}})
    tokenizer = load_tokenizer(folder)
    assert tokenizer.decode(render_pair(tokenizer, make_pair()).prompt_ids).startswith(
        "Today: 01 January 2032"
    )


def test_two_days_render_the_same_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_tiny_base(tmp_path / "base")
    (folder / "chat_template.jinja").write_text("{{ strftime_now('%Y-%m-%d') }}" + CHAT_TEMPLATE)
    dated = "transformers.utils.chat_template_utils.datetime"
    rendered = []
    for n_days in (0, 1):

        class Clock(datetime):
            ahead = timedelta(days=n_days)

            @classmethod
            def now(cls, tz: Any = None) -> "datetime":
                return datetime(2026, 3, 1) + cls.ahead

        monkeypatch.setattr(dated, Clock)
        rendered.append(render_pair(load_tokenizer(folder), make_pair()))
    assert rendered[0] == rendered[1]


def test_a_template_that_drops_the_answer_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}>"
    )
    with pytest.raises(ModelError, match="renders two different answers alike"):
        render_pair(tokenizer, make_pair())


def test_a_template_that_takes_no_system_message_says_so_with_the_pair_and_a_way_out() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        + CHAT_TEMPLATE
    )
    render_pair(tokenizer, make_pair())
    told = Conversation(
        prompt=(Message(role="system", content="Be brief."), Message(role="user", content="Describe it.")),
        chosen=(Message(role="assistant", content="Forty wait."),),
        rejected=(Message(role="assistant", content="Many wait."),),
    )
    with pytest.raises(
        ModelError,
        match=r"pair a: .*System role not supported\); write messages .*\(these are system, user\)",
    ):
        render_pair(tokenizer, make_pair(messages=told))


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
