"""Texts to token ids through the checkpoint's chat template, the same for every stage."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stages.errors import InputError, ModelError
from stages.files.pairs import PreferencePair
from stages.model.checkpoint import reading_checkpoint
from stages.model.rendered import RenderedPair
from stages.run.progress import say

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

N_PAIRS_SHOWN = 5


def render_prompt(tokenizer: "PreTrainedTokenizerBase", prompt: str) -> list[int]:
    """Token ids of a conversation that ends where the assistant's answer begins."""
    ids = _tokenize(tokenizer, [{"role": "user", "content": prompt}], add_generation_prompt=True)
    if not ids:
        raise ModelError("the chat template renders a prompt to nothing; use the checkpoint's own template")
    return ids


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
    tokenizer: "PreTrainedTokenizerBase", conversation: list[dict[str, str]], *, add_generation_prompt: bool
) -> list[int]:
    with reading_checkpoint("the chat template cannot be rendered"):  # the sandbox raises here, too
        text = tokenizer.apply_chat_template(
            conversation, tokenize=False, add_generation_prompt=add_generation_prompt
        )
    with reading_checkpoint("the tokenizer cannot be used"):
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _first_difference(ids: list[int], prompt_ids: list[int]) -> int:
    for position, (a, b) in enumerate(zip(ids, prompt_ids, strict=False)):
        if a != b:
            return position + 1
    return min(len(ids), len(prompt_ids)) + 1
