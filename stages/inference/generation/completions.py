"""Completions to fresh prompts: the row, and the clean-up that both models get alike."""

import re
from typing import Literal, NamedTuple

from stages.files.pairs import Prompt
from stages.files.record import Record
from stages.files.sentences import sentence_ends

# What a chat model leaks of its template; removed wherever it stands.
ROLE_TAG = re.compile(
    r"<\|[a-z_]+\|>(?:(?:assistant|user|system)[ \t]*:?[ \t]*$)?"
    r"|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>"
    r"|^\s*(?:assistant|user|system)\s*:?[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)

FinishReason = Literal["eos", "length"]


class RawCompletion(NamedTuple):
    """What the model wrote, and whether it ended by itself."""

    text: str
    n_tokens: int
    ended: bool


class Generation(Record):
    """One model's completion to one prompt."""

    prompt_id: str
    prompt: str
    completion: str  # as an editor sees it
    raw_completion: str  # as the model wrote it
    n_tokens: int
    finish_reason: FinishReason
    removed_role_tags: bool
    trimmed: bool
    seed: int
    settings_sha256: str
    synthetic: bool  # the prompt is synthetic


class CleanText(NamedTuple):
    """A completion fit to be shown, and what was done to it."""

    text: str
    removed_role_tags: bool
    trimmed: bool


def clean_completion(raw: str, *, finish_reason: FinishReason) -> CleanText:
    """Remove role tags; where the token limit cut the text, trim it to its last whole sentence.

    A text without any sentence end is left as it is: `blind` reports it as truncated.
    """
    without_tags = ROLE_TAG.sub("", raw)
    text = without_tags.strip()
    removed_role_tags = without_tags != raw
    if finish_reason == "eos":
        return CleanText(text, removed_role_tags, trimmed=False)
    ends = sentence_ends(text)
    trimmed = text[: ends[-1]] if ends else text
    return CleanText(trimmed, removed_role_tags, trimmed=trimmed != text)


def make_generation(prompt: Prompt, raw: RawCompletion, *, seed: int, settings_sha256: str) -> Generation:
    """The row of one completion, cleaned up."""
    finish_reason: FinishReason = "eos" if raw.ended else "length"
    cleaned = clean_completion(raw.text, finish_reason=finish_reason)
    return Generation(
        prompt_id=prompt.prompt_id,
        prompt=prompt.prompt,
        completion=cleaned.text,
        raw_completion=raw.text,
        n_tokens=raw.n_tokens,
        finish_reason=finish_reason,
        removed_role_tags=cleaned.removed_role_tags,
        trimmed=cleaned.trimmed,
        seed=seed,
        settings_sha256=settings_sha256,
        synthetic=prompt.synthetic,
    )
