"""Rows of prompts and their options, run through a model behind a beginning that they share.

A row's attention is blocked between options. Keys and values of the beginning are computed once, for one row;
each layer repeats them for its batch and lets go of them, so a batch holds no cache of all layers.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import Cache
from transformers.cache_utils import DynamicLayer

from stages.inference.mmlu.option_rows import Prompt, Row, Tokens, build_row

Answer = tuple[float, bool]  # log-prob in nats, and is every token the most likely one

KNOWN_ATTENTION = {"sdpa", "eager"}  # take a ready-made mask
MAX_HEAD_ROWS = 512  # tokens whose log-probs over the vocabulary are held at once
# Nats a token by which shared rows may differ from one row an option: rounding, no more.
LARGEST_DIFFERENCE = {torch.float32: 1e-3, torch.float16: 0.05, torch.bfloat16: 0.3}


class SharedLayer(DynamicLayer):
    """One layer's keys and values of the beginning; a batch's own are handed on behind them and not kept."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values  # (1, heads, tokens, width)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The beginning's and the batch's, for every row of the batch."""
        every_row = (len(key_states), -1, -1, -1)
        return (
            torch.cat([self.keys.expand(every_row), key_states], dim=-2),
            torch.cat([self.values.expand(every_row), value_states], dim=-2),
        )


def run_beginning(model: Any, tokens: Tokens) -> Cache | None:
    """What all layers keep of a shared beginning; None where there is none."""
    if not tokens:
        return None
    ids = torch.tensor([tokens], device=model.device)
    cache = find_decoder(model)(input_ids=ids, use_cache=True).past_key_values
    return Cache(layers=[SharedLayer(layer.keys, layer.values) for layer in cache.layers])


def run_rows(model: Any, rows: Sequence[Row], shared: Cache | None) -> list[Answer]:
    """Log-prob of every label of every row, in their order."""
    n_shared = 0 if shared is None else shared.get_seq_length()
    hidden = find_decoder(model)(
        **pad_rows(rows, n_shared=n_shared, dtype=model.dtype, device=model.device),
        past_key_values=shared,
        use_cache=shared is not None,
    ).last_hidden_state
    places = [(number, place) for number, row in enumerate(rows) for place in row.predictors]
    labels = [label for row in rows for label in row.labels]
    scored: list[Answer] = []
    for start in range(0, len(places), MAX_HEAD_ROWS):
        numbers, columns = zip(*places[start : start + MAX_HEAD_ROWS], strict=True)
        wanted = torch.tensor(labels[start : start + MAX_HEAD_ROWS], device=model.device)
        logits = find_head(model)(hidden[list(numbers), list(columns)])
        logprobs = torch.log_softmax(logits, dim=-1, dtype=torch.float32)
        picked = logprobs.gather(1, wanted[:, None])[:, 0].tolist()
        scored += zip(picked, (logprobs.argmax(dim=-1) == wanted).tolist(), strict=True)
    return scored


def why_not_shared(model: Any) -> str | None:
    """Why shared rows would not answer as one row an option does, or None: read off the config, then tried.

    Where a window slides over a row, what it hides depends on the rows' layout.
    """
    config = model.config.get_text_config()
    if config._attn_implementation not in KNOWN_ATTENTION:
        return f"attention {config._attn_implementation!r} takes no ready-made mask"
    layer_types = set(getattr(config, "layer_types", None) or ())
    if layer_types - {"full_attention"}:
        return f"layers of type {sorted(layer_types)} look at part of a row"
    if not layer_types and getattr(config, "sliding_window", None) is not None:
        return "its attention looks at part of a row"
    try:
        difference = _difference(model, config.vocab_size)
    except (TypeError, ValueError, RuntimeError, IndexError, AttributeError) as error:
        return f"it does not take them ({type(error).__name__}: {str(error)[:100]})"
    if difference <= LARGEST_DIFFERENCE.get(model.dtype, 0.3):
        return None
    return f"it gives other log-probs from shared rows (by {difference:.2g} nats)"


@torch.inference_mode()
def _difference(model: Any, vocabulary: int) -> float:
    """The largest, in nats, on two made-up prompts of one beginning, with options of 3 and 2 tokens."""

    def made_up(start: int, n: int) -> Tokens:
        return tuple((start + 11 * place) % vocabulary for place in range(n))

    beginning = made_up(3, 7)
    prompts = [
        Prompt(beginning + made_up(5 + n, 4 + n), [made_up(17 + n, 3), made_up(29 + n, 2)]) for n in range(2)
    ]
    rows = [build_row(prompt, n_shared=len(beginning)) for prompt in prompts]
    shared = [logprob for logprob, _ in run_rows(model, rows, run_beginning(model, beginning))]
    apart: list[float] = []
    for prompt in prompts:
        for option in prompt.options:
            ids = torch.tensor([prompt.context + option], device=model.device)
            logits = model(input_ids=ids, use_cache=False).logits[0, -len(option) - 1 : -1]
            logprobs = torch.log_softmax(logits, dim=-1, dtype=torch.float32)
            apart += logprobs[range(len(option)), list(option)].tolist()
    return max(abs(one - other) for one, other in zip(shared, apart, strict=True))


def find_decoder(model: Any) -> Any:
    """The decoder without its head; adapters stay in it."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return base.get_decoder()


def find_head(model: Any) -> Any:
    """The LM head: hidden state to logits."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return base.get_output_embeddings()


def pad_rows(
    rows: Sequence[Row], *, n_shared: int, dtype: torch.dtype, device: torch.device
) -> dict[str, torch.Tensor | None]:
    """The decoder's inputs: rows padded on the right, and which token attends to which.

    Without branches plain causal attention is right, and nothing attends to padding at the end.
    """
    width = max(len(row.tokens) for row in rows)
    tokens = torch.tensor([row.tokens + [0] * (width - len(row.tokens)) for row in rows], device=device)
    if not any(branch for row in rows for branch in row.branches):
        return {"input_ids": tokens, "attention_mask": None, "position_ids": None}
    positions = torch.tensor(
        [row.positions + [0] * (width - len(row.positions)) for row in rows], device=device
    )
    branch = torch.tensor([row.branches + [-1] * (width - len(row.branches)) for row in rows], device=device)
    causal = torch.ones(width, width, dtype=torch.bool, device=device).tril()
    kin = (branch[:, None, :] == 0) | (branch[:, None, :] == branch[:, :, None])
    allowed = torch.nn.functional.pad(kin & causal, (n_shared, 0), value=True)
    mask = torch.zeros(allowed.shape, dtype=dtype, device=device)
    mask.masked_fill_(~allowed, torch.finfo(dtype).min)
    return {"input_ids": tokens, "attention_mask": mask[:, None], "position_ids": positions}
