"""Texts to token ids through the checkpoint's chat template, the same for every stage."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stages.errors import InputError, ModelError
from stages.files.pairs import Message, PreferencePair
from stages.model.checkpoint import reading_checkpoint
from stages.model.rendered import RenderedPair, n_common
from stages.run.progress import say

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

N_PAIRS_SHOWN = 5
# Two answers with nothing in common: what a template puts before both belongs to every prompt.
ANSWERS = ("An answer.", "Some words.")


def render_prompt(tokenizer: "PreTrainedTokenizerBase", prompt: str | Sequence[Message]) -> list[int]:
    """Token ids of a conversation up to the text of the assistant's answer; a text is the user's turn.

    Some templates put more before an answer than a generation prompt has, such as an empty block of
    thoughts (Qwen3) or the name of a channel (gpt-oss). Training would see it and generation would not,
    so it belongs to the prompt.
    """
    messages = (Message(role="user", content=prompt),) if isinstance(prompt, str) else prompt
    opening = _tokenize(tokenizer, messages, add_generation_prompt=True)
    if not opening:
        raise ModelError("the chat template renders a prompt to nothing; use the checkpoint's own template")
    first, second = (
        _tokenize(
            tokenizer, (*messages, Message(role="assistant", content=answer)), add_generation_prompt=False
        )
        for answer in ANSWERS
    )
    if first == second:
        raise ModelError(
            "the chat template renders two different answers alike, so it drops their text; use the "
            "checkpoint's own template"
        )
    common = first[: n_common(first, second)]
    if common[: len(opening)] != opening:
        raise ModelError(
            "the chat template renders the prompt alone differently from the prompt with an answer (token "
            f"{n_common(common, opening) + 1} of {len(opening)}); use a template whose generation prompt "
            "opens the assistant's turn unchanged, or set base_model.chat_template_kwargs, such as "
            "{enable_thinking: false}"
        )
    return common


def render_pair(tokenizer: "PreTrainedTokenizerBase", pair: PreferencePair) -> RenderedPair:
    """Prompt and completions as token ids; ModelError where the template changes the prompt it continues.

    TRL would drop the differing end of the prompt and go on; the model would then be trained on a
    context it never sees when it writes.
    """
    conversation = pair.conversation
    try:
        prompt_ids = render_prompt(tokenizer, conversation.prompt)
    except ModelError as error:
        raise ModelError(f"pair {pair.pair_id}: {error}") from error
    completions = []
    for completion in (conversation.chosen, conversation.rejected):
        ids = _tokenize(tokenizer, (*conversation.prompt, *completion), add_generation_prompt=False)
        if ids[: len(prompt_ids)] != prompt_ids or len(ids) == len(prompt_ids):
            raise ModelError(
                f"pair {pair.pair_id}: the chat template renders the prompt alone differently from the "
                f"prompt with an answer (token {n_common(ids, prompt_ids) + 1} of {len(prompt_ids)}); "
                "use a template whose generation prompt opens the assistant's turn unchanged, and texts "
                "without the template's own tags"
            )
        completions.append(ids[len(prompt_ids) :])
    return RenderedPair(pair.pair_id, prompt_ids, *completions)


def render_pairs(
    tokenizer: "PreTrainedTokenizerBase",
    pairs: Sequence[PreferencePair],
    *,
    max_length: int,
    too_long: Literal["refuse", "set_aside"],
) -> list[RenderedPair]:
    """Render all pairs; nothing is truncated.

    Pairs of more than `max_length` tokens are an InputError that names them or, with `set_aside`, are
    left out and said; an InputError where none is left.
    """
    rendered = [render_pair(tokenizer, pair) for pair in pairs]
    over = [pair for pair in rendered if pair.n_longest_tokens > max_length]
    if not over:
        return rendered
    longest = max(pair.n_longest_tokens for pair in over)
    named = ", ".join(f"{pair.pair_id} ({pair.n_longest_tokens})" for pair in over[:N_PAIRS_SHOWN])
    what = f"{len(over)} of {len(rendered)} pairs have more than {max_length} tokens: {named}"
    if too_long == "refuse" or len(over) == len(rendered):
        raise InputError(
            f"rows.max_length: {what}; raise it to {longest}, set rows.too_long to set_aside, or take "
            "these pairs out of the data (nothing is truncated)"
        )
    say(f"set aside (rows.too_long): {what}")
    return [pair for pair in rendered if pair.n_longest_tokens <= max_length]


def _tokenize(
    tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message], *, add_generation_prompt: bool
) -> list[int]:
    roles = ", ".join(one.role for one in messages)
    way_out = f"write messages that it takes (these are {roles}), or correct it"
    with reading_checkpoint("the chat template cannot be rendered", way_out):  # the sandbox raises here, too
        text = tokenizer.apply_chat_template(
            [dict(message) for message in messages],
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
        )
    with reading_checkpoint("the tokenizer cannot be used"):
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])
