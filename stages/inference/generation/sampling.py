"""Sampling in batches with a seed of its own for every prompt.

Gumbel-max sampling: the likeliest token of `log p + g`, with g standard Gumbel noise, is a draw
from p. The noise is a function of the prompt's seed, the step and the token alone, so a completion does
not depend on which prompts share its batch, and both models meet the same noise.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
)

from stages.inference.generation.completions import RawCompletion
from stages.run.processes import deal, gather
from stages.run.progress import track

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


FIRST_LOOK = 512  # tokens in which the nucleus is looked for first
# What decides how a token is chosen beside temperature, top_p and the seeds. A checkpoint's own
# generation_config (repetition penalty, top-k, forbidden words, ...) is left out: the weights are judged.
NEUTRAL = {"do_sample": False, "num_beams": 1, "repetition_penalty": 1.0, "noise": "splitmix64"}
# SplitMix64: Steele, Lea and Flood (2014), Fast splittable pseudorandom number generators, figure 16.
GOLDEN, FIRST, SECOND = (
    int.from_bytes(bytes.fromhex(digits), "big", signed=True)  # int64 wraps around as uint64 does
    for digits in ("9e3779b97f4a7c15", "bf58476d1ce4e5b9", "94d049bb133111eb")
)


def splitmix64(state: torch.Tensor, places: torch.Tensor | int) -> torch.Tensor:
    """The outputs numbered `places` (from 0) of generators that begin at `state`; int64, of all 64 bits."""
    mixed = state + GOLDEN * (torch.as_tensor(places, device=state.device) + 1)
    mixed = (mixed ^ _shift_right(mixed, 30)) * FIRST
    mixed = (mixed ^ _shift_right(mixed, 27)) * SECOND
    return mixed ^ _shift_right(mixed, 31)


def _shift_right(bits: torch.Tensor, n: int) -> torch.Tensor:
    return (bits >> n) & ((1 << (64 - n)) - 1)  # torch repeats the sign


class Nucleus(LogitsProcessor):
    """Keeps the fewest likeliest tokens whose probabilities reach `top_p`; the others become -inf.

    Nucleus sampling of Holtzman et al. (2020). transformers' TopPLogitsWarper sorts the whole vocabulary,
    which on a CPU took half of a step. A few hundred tokens nearly always reach `top_p`; more are looked at
    only where they do not.
    """

    def __init__(self, top_p: float) -> None:
        self.top_p = top_p

    def __call__(self, _input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores (B, V); the likeliest token always stays."""
        total = torch.logsumexp(scores.float(), dim=-1, keepdim=True)
        n_tokens, n_looked_at = scores.shape[-1], FIRST_LOOK
        while True:
            n_looked_at = min(n_looked_at, n_tokens)
            likeliest, places = torch.topk(scores, n_looked_at)
            shares = torch.exp(likeliest.float() - total)
            is_kept = shares.cumsum(dim=-1) - shares < self.top_p  # what is likelier does not reach it yet
            is_kept[:, 0] = True
            if n_looked_at == n_tokens or not bool(is_kept[:, -1].any()):
                break
            n_looked_at *= 8
        return torch.full_like(scores, -torch.inf).scatter_(
            1, places, likeliest.masked_fill(~is_kept, -torch.inf)
        )


class SeededGumbel(LogitsProcessor):
    """Adds Gumbel noise to scores: row i, step and token get what seed i has for them, on any device.

    Scores are log-probs up to a constant of the row, which changes no draw.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.seeds = torch.tensor(list(seeds), dtype=torch.int64)
        self.step = 0

    def __call__(self, _input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores (B, V) plus noise, made only for tokens that are possible; the others stay at -inf."""
        self.seeds = self.seeds.to(scores.device)
        rows, tokens = torch.isfinite(scores).nonzero(as_tuple=True)
        bits = splitmix64(splitmix64(self.seeds, self.step)[rows], tokens)
        uniform = (_shift_right(bits, 11).double() + 0.5) / 2**53
        noisy = torch.full_like(scores, -torch.inf, dtype=torch.float32)
        noisy[rows, tokens] = scores[rows, tokens].float() - torch.log(-torch.log(uniform)).float()
        self.step += 1
        return noisy


@contextmanager
def without_own_settings(model: "PreTrainedModel") -> Iterator["PreTrainedModel"]:
    """The model with an empty generation_config: its own would fill what ours leaves open."""
    inner: PreTrainedModel = model.get_base_model() if hasattr(model, "get_base_model") else model
    own, inner.generation_config = inner.generation_config, GenerationConfig()
    try:
        yield inner
    finally:
        inner.generation_config = own


def generate_completions(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[list[int]],
    seeds: Sequence[int],
    *,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    batch_size: int,
    label: str,
) -> list[RawCompletion]:
    """One completion per prompt, in the given order; temperature 0 takes the likeliest token."""
    by_length = sorted(range(len(prompts)), key=lambda index: (-len(prompts[index]), index))
    batches = deal([by_length[start : start + batch_size] for start in range(0, len(by_length), batch_size)])
    end_ids = _end_ids(model, tokenizer)
    done: dict[int, RawCompletion] = {}
    for batch in track(batches, total=len(batches), label=label, unit="batches"):
        processors = LogitsProcessorList()
        if temperature > 0:
            processors.append(TemperatureLogitsWarper(temperature))
            if top_p < 1:
                processors.append(Nucleus(top_p))
            processors.append(SeededGumbel([seeds[index] for index in batch]))
        padded = tokenizer.pad(
            {"input_ids": [prompts[i] for i in batch]}, padding_side="left", return_tensors="pt"
        )
        with torch.inference_mode(), without_own_settings(model) as inner:
            output = inner.generate(
                **{name: value.to(model.device) for name, value in padded.items()},
                generation_config=_greedy(tokenizer, end_ids, max_new_tokens),
                logits_processor=processors,
            )
        for index, ids in zip(batch, output[:, padded["input_ids"].shape[1] :].tolist(), strict=True):
            done[index] = _cut_at_end(tokenizer, ids, end_ids)
    done = gather(done)
    return [done[index] for index in range(len(prompts))]


def _greedy(tokenizer: "PreTrainedTokenizerBase", end_ids: set[int], max_new_tokens: int) -> GenerationConfig:
    """The likeliest token each time: the draw is in the noise."""
    settings = {name: value for name, value in NEUTRAL.items() if name != "noise"}
    return GenerationConfig(
        max_new_tokens=max_new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=sorted(end_ids),
        use_cache=True,
        **settings,
    )


def _end_ids(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> set[int]:
    stated = model.generation_config.eos_token_id
    stated_ids = stated if isinstance(stated, list) else [stated]
    return {tokenizer.eos_token_id, *(token for token in stated_ids if token is not None)}


def _cut_at_end(tokenizer: "PreTrainedTokenizerBase", ids: list[int], end_ids: set[int]) -> RawCompletion:
    position = next((place for place, token in enumerate(ids) if token in end_ids), None)
    written = ids if position is None else ids[:position]
    text = tokenizer.decode(written, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return RawCompletion(text, len(written), ended=position is not None)
