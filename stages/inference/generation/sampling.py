"""Sampling in batches with a seed of its own for every prompt.

Gumbel-max sampling: the likeliest token of `log p + g`, with g standard Gumbel noise, is a draw
from p. The noise comes from the prompt's seed and the step alone, so a completion does not depend
on which prompts share its batch, and both models meet the same noise.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from stages.inference.generation.completions import RawCompletion
from stages.run.progress import track

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class SeededGumbel(LogitsProcessor):
    """Adds Gumbel noise to log-probs; row i of every step draws from the generator of seed i."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, _input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores (B, V) plus noise; excluded tokens stay at minus infinity."""
        uniform = torch.stack([torch.rand(scores.shape[1], generator=one) for one in self.generators])
        noise = -torch.log(-torch.log(uniform.clamp_min(torch.finfo(torch.float32).tiny)))
        return torch.log_softmax(scores.float(), dim=-1) + noise.to(scores.device)


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
    batches = [by_length[start : start + batch_size] for start in range(0, len(by_length), batch_size)]
    done: dict[int, RawCompletion] = {}
    for batch in track(batches, total=len(batches), label=label, unit="batches"):
        processors = LogitsProcessorList()
        if temperature > 0:
            processors.append(TemperatureLogitsWarper(temperature))
            processors.append(TopPLogitsWarper(top_p))
            processors.append(SeededGumbel([seeds[index] for index in batch]))
        padded = tokenizer.pad(
            {"input_ids": [prompts[i] for i in batch]}, padding_side="left", return_tensors="pt"
        )
        with torch.inference_mode():
            output = model.generate(
                **{name: value.to(model.device) for name, value in padded.items()},
                generation_config=_greedy(model, tokenizer, max_new_tokens),
                logits_processor=processors,
            )
        for index, ids in zip(batch, output[:, padded["input_ids"].shape[1] :].tolist(), strict=True):
            done[index] = _cut_at_end(tokenizer, ids, _end_ids(model, tokenizer))
    return [done[index] for index in range(len(prompts))]


def _greedy(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", max_new_tokens: int
) -> GenerationConfig:
    return GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,  # the draw is in the noise
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=sorted(_end_ids(model, tokenizer)),
        use_cache=True,
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
