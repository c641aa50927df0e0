"""Texts to token ids through the checkpoint's chat template, the same for every stage."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jinja2 import TemplateError

from stages.core.pairs import PreferencePair
from stages.core.rendered import RenderedPair
from stages.errors import InputError, ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

N_PAIRS_SHOWN = 5


def render_prompt(tokenizer: "PreTrainedTokenizerBase", prompt: str) -> list[int]:
    """Token ids of a conversation that ends where the assistant's answer begins."""
    return _tokenize(tokenizer, [{"role": "user", "content": prompt}], add_generation_prompt=True)


def render_pair(tokenizer: "PreTrainedTokenizerBase", pair: PreferencePair) -> RenderedPair:
    """Prompt and completions as token ids; ModelError where the template changes the prompt it continues.

    TRL would drop the differing end of the prompt and go on; the model would then be trained on a
    context it never sees when it writes.
    """
    prompt_ids = render_prompt(tokenizer, pair.prompt)
    completions = []
    for completion in (pair.chosen, pair.rejected):
        conversation = [
            {"role": "user", "content": pair.prompt},
            {"role": "assistant", "content": completion},
        ]
        ids = _tokenize(tokenizer, conversation, add_generation_prompt=False)
        if ids[: len(prompt_ids)] != prompt_ids or len(ids) == len(prompt_ids):
            raise ModelError(
                f"pair {pair.pair_id}: the chat template renders the prompt alone differently from the "
                f"prompt with an answer (token {_first_difference(ids, prompt_ids)} of {len(prompt_ids)}); "
                "use a template whose generation prompt opens the assistant's turn unchanged"
            )
        completions.append(ids[len(prompt_ids) :])
    return RenderedPair(pair.pair_id, prompt_ids, *completions)


def render_pairs(
    tokenizer: "PreTrainedTokenizerBase", pairs: Sequence[PreferencePair], *, max_length: int
) -> list[RenderedPair]:
    """Render all pairs; InputError names those longer than `max_length` tokens, nothing is truncated."""
    rendered = [render_pair(tokenizer, pair) for pair in pairs]
    too_long = [pair for pair in rendered if pair.n_longest_tokens > max_length]
    if too_long:
        longest = max(pair.n_longest_tokens for pair in too_long)
        named = ", ".join(f"{pair.pair_id} ({pair.n_longest_tokens})" for pair in too_long[:N_PAIRS_SHOWN])
        raise InputError(
            f"runtime.max_length: {len(too_long)} of {len(rendered)} pairs have more than {max_length} "
            f"tokens: {named}; raise it to {longest}, or take these pairs out of the data "
            "(nothing is truncated)"
        )
    return rendered


def _tokenize(
    tokenizer: "PreTrainedTokenizerBase", conversation: list[dict[str, str]], *, add_generation_prompt: bool
) -> list[int]:
    try:
        text = tokenizer.apply_chat_template(
            conversation, tokenize=False, add_generation_prompt=add_generation_prompt
        )
    except TemplateError as error:  # the sandbox raises one of these too
        raise ModelError(f"the chat template cannot be rendered ({type(error).__name__}: {error})") from error
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _first_difference(ids: list[int], prompt_ids: list[int]) -> int:
    for position, (a, b) in enumerate(zip(ids, prompt_ids, strict=False)):
        if a != b:
            return position + 1
    return min(len(ids), len(prompt_ids)) + 1
