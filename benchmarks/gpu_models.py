"""Random models in the shapes of real ones, and random pairs with the lengths of real ones."""

import math
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel

from stages.logprobs.reference import ReferenceRow
from stages.model.rendered import RenderedPair
from stages.run.params import RuntimeParams
from stages.sizing.shape import ModelShape

HEAD = 128
TINY = ModelShape(2, 256, 512, 256, 128, 1024, is_tied=False, has_lean_gate=True)

# Tokens of 2,616 editors' pairs under the built-in model's tokenizer: medians of the prompt (chat template
# and all) and of a completion, spread of the latter's logarithm, correlation of a pair's two; a third of what
# the shorter completion has in common with the other is the mean, with many near 0 and some near 1.
PROMPT, COMPLETION, SPREAD, CORRELATION = 49, 85, 0.35, 0.72


def random_model(shape: ModelShape, runtime: RuntimeParams, *, seed: int = 0) -> PreTrainedModel:
    """A Llama of this shape, drawn on the device itself, in eval mode."""
    torch.manual_seed(seed)
    head = min(HEAD, shape.query_width // 2)
    config = LlamaConfig(
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.query_width // head,
        num_key_value_heads=shape.key_width // head,
        head_dim=head,
        vocab_size=shape.vocabulary,
        tie_word_embeddings=shape.is_tied,
        max_position_embeddings=32768,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    with torch.device(runtime.device):
        model = AutoModelForCausalLM.from_config(
            config, dtype=getattr(torch, runtime.dtype), attn_implementation=runtime.attn_implementation
        )
    model.eval()
    return model


def random_pairs(n: int, *, vocabulary: int, scale: float = 1.0, seed: int = 0) -> list[RenderedPair]:
    """`n` pairs; `scale` multiplies every length."""
    generator = torch.Generator().manual_seed(seed)

    def tokens(length: float) -> list[int]:
        return torch.randint(2, vocabulary, (max(1, round(length)),), generator=generator).tolist()

    pairs = []
    for number in range(n):
        both, one, other = torch.randn(3, generator=generator).tolist()
        share = torch.rand(1, generator=generator).item() ** 2
        weights = math.sqrt(CORRELATION), math.sqrt(1 - CORRELATION)
        lengths = [
            scale * COMPLETION * math.exp(SPREAD * (weights[0] * both + weights[1] * own))
            for own in (one, other)
        ]
        chosen, rejected = tokens(lengths[0]), tokens(lengths[1])
        n_common = int(share * min(len(chosen), len(rejected)))
        pairs.append(
            RenderedPair(
                f"g{number:05}", tokens(scale * PROMPT), chosen, chosen[:n_common] + rejected[n_common:]
            )
        )
    return pairs


def same_length_pairs(n: int, *, n_row: int, vocabulary: int, seed: int = 0) -> list[RenderedPair]:
    """`n` pairs whose shared rows have exactly `n_row` tokens: a quarter prompt, the rest completions."""
    generator = torch.Generator().manual_seed(seed)
    n_prompt = n_row // 4
    n_chosen = (n_row - n_prompt) // 2

    def tokens(length: int) -> list[int]:
        return torch.randint(2, vocabulary, (length,), generator=generator).tolist()

    return [
        RenderedPair(f"l{number:05}", tokens(n_prompt), tokens(n_chosen), tokens(n_row - n_prompt - n_chosen))
        for number in range(n)
    ]


def unscored_rows(pairs: list[RenderedPair]) -> list[ReferenceRow]:
    """The pairs with made-up reference log-probs: what they are changes neither time nor memory."""
    return [ReferenceRow(*one, [-1.0] * len(one.chosen_ids), [-1.0] * len(one.rejected_ids)) for one in pairs]


def describe_lengths(pairs: list[RenderedPair]) -> dict[str, Any]:
    """Tokens of the shared rows and of TRL's two rows."""
    rows = sorted(pair.n_row_tokens for pair in pairs)
    two = [2 * len(pair.prompt_ids) + len(pair.chosen_ids) + len(pair.rejected_ids) for pair in pairs]
    return {
        "n_pairs": len(pairs),
        "row median": rows[len(rows) // 2],
        "row mean": sum(rows) / len(rows),
        "row longest": rows[-1],
        "two rows mean": sum(two) / len(two),
    }
