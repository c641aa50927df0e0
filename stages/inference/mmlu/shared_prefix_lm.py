"""lm-eval's model class, running what prompts have in common only once.

The four options of a question share its prompt, and few-shot prompts of a subject share their
examples. lm-eval runs each option's prompt anew and the LM head over every token of it. Here one
row holds a prompt and its options, positions restarting and attention blocked between options;
the examples' keys and values are computed once for their subject; the LM head sees only
the tokens that predict an option. Log-probs are lm-eval's up to the rounding of sums.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import _add_special_kwargs, has_bos_prefix

from stages.errors import ModelError
from stages.inference.mmlu.option_rows import (
    Prompt,
    Row,
    Tokens,
    build_row,
    collect_prompts,
    group_by_prefix,
    split_batches,
)
from stages.run.progress import say, track

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance
    from transformers import Cache, PreTrainedModel

Request = tuple[tuple[str, str], list[int], list[int]]  # texts, context tokens, continuation tokens
Answer = tuple[float, bool]  # log-prob in nats, and is every token the most likely one

# Decoders with plain full attention and a plain LM head, on which the tests pin this to lm-eval.
KNOWN_MODEL_TYPES = {"llama", "mistral", "qwen2", "qwen3"}
KNOWN_ATTENTION = {"sdpa", "eager"}
MIN_SHARED_TOKENS = 64  # below this a cache costs more than it saves
MAX_HEAD_ROWS = 512  # tokens whose log-probs over the vocabulary are held at once


class SharedPrefixLM(HFLM):
    """`HFLM` for multiple choice on one process; rows and batches as the module describes."""

    def __init__(self, *, max_batch_tokens: int, **kwargs: Any) -> None:
        """`max_batch_tokens`: padded tokens of one forward pass; the rest is HFLM's."""
        super().__init__(batch_size=1, softmax_dtype="float32", **kwargs)
        self.max_batch_tokens = max_batch_tokens
        self._tokens: dict[str, list[int]] = {}  # what tok_encode would give, for the texts at hand

    def loglikelihood(self, requests: list["Instance"], disable_tqdm: bool = False) -> list[Answer]:
        """lm-eval's, but every text is tokenized once and all of them in one call, on all cores."""
        texts = {text for one in requests for text in (one.args[0].rstrip(), one.args[0] + one.args[1])}
        self._tokens = self._encode_all(sorted(texts))
        answers: list[Answer] = super().loglikelihood(requests, disable_tqdm)
        self._tokens = {}
        return answers

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """The tokens of a text; lm-eval's own way where they are not at hand."""
        if add_special_tokens is None and not kwargs and string in self._tokens:
            return self._tokens[string]
        tokens: list[int] = super().tok_encode(string, add_special_tokens, **kwargs)
        return tokens

    def _encode_all(self, texts: list[str]) -> dict[str, list[int]]:
        """As HFLM.tok_encode: special tokens by default, but none where a text opens with BOS itself."""
        opening = self.tokenizer.decode(self.prefix_token_id)
        default = _add_special_kwargs(None, self.add_bos_token)
        tokens: dict[str, list[int]] = {}
        for is_open, settings in ((False, default), (True, default | {"add_special_tokens": False})):
            chosen = [text for text in texts if has_bos_prefix(text, opening) == is_open]
            if chosen:
                with all_cores_for_tokenizers():
                    tokens |= zip(chosen, self.tokenizer(chosen, **settings)["input_ids"], strict=True)
        return tokens

    def _loglikelihood_tokens(
        self, requests: list[Request], disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[Answer]:
        refuse_truncation(requests, self.max_length)
        if not can_share(self.model):
            say(f"mmlu: {self.config.model_type} is scored by lm-eval's own, slower forward pass")
            self.batch_size_per_gpu = max(1, self.max_batch_tokens // max(map(_count_tokens, requests)))
            return super()._loglikelihood_tokens(requests, disable_tqdm, override_bs)  # type: ignore[no-any-return]
        prompts = collect_prompts((context, option) for _, context, option in requests)
        answers: dict[tuple[Tokens, Tokens], Answer] = {}
        for prompt, scored in track(self._score(prompts), total=len(prompts), label="mmlu", unit="questions"):
            answers |= {
                (prompt.context, option): one for option, one in zip(prompt.options, scored, strict=True)
            }
        return [answers[tuple(context), tuple(option)] for _, context, option in requests]

    @torch.inference_mode()
    def _score(self, prompts: Sequence[Prompt]) -> Iterator[tuple[Prompt, list[Answer]]]:
        for group in group_by_prefix([one.context for one in prompts], min_shared=MIN_SHARED_TOKENS):
            members = [prompts[place] for place in group.members]
            prefix = members[0].context[: group.n_shared]
            shared = self._run_prefix(prefix) if prefix else []
            rows = [build_row(one, n_shared=len(prefix)) for one in members]
            for batch in split_batches([len(row.tokens) for row in rows], max_tokens=self.max_batch_tokens):
                flat = iter(self._run_rows([rows[place] for place in batch], shared, len(prefix)))
                for place in batch:
                    yield (
                        members[place],
                        [_add_up([next(flat) for _ in option]) for option in members[place].options],
                    )

    def _run_prefix(self, prefix: Tokens) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Keys and values of the shared beginning, layer by layer, for a batch of one."""
        tokens = torch.tensor([prefix], device=self.device)
        cache = find_decoder(self.model)(input_ids=tokens, use_cache=True).past_key_values
        return [(layer.keys, layer.values) for layer in cache.layers]

    def _run_rows(
        self, rows: Sequence[Row], shared: list[tuple[torch.Tensor, torch.Tensor]], n_shared: int
    ) -> list[Answer]:
        """Log-prob of every label of every row, in their order."""
        hidden = find_decoder(self.model)(
            **pad_rows(rows, n_shared=n_shared, dtype=self.model.dtype, device=self.device),
            past_key_values=repeat_cache(shared, len(rows)) if shared else None,
            use_cache=bool(shared),
        ).last_hidden_state
        places = [(number, place) for number, row in enumerate(rows) for place in row.predictors]
        labels = [label for row in rows for label in row.labels]
        scored: list[Answer] = []
        for start in range(0, len(places), MAX_HEAD_ROWS):
            numbers, columns = zip(*places[start : start + MAX_HEAD_ROWS], strict=True)
            wanted = torch.tensor(labels[start : start + MAX_HEAD_ROWS], device=self.device)
            logits = find_head(self.model)(hidden[list(numbers), list(columns)])
            logprobs = torch.log_softmax(logits, dim=-1, dtype=torch.float32)
            picked = logprobs.gather(1, wanted[:, None])[:, 0].tolist()
            scored += zip(picked, (logprobs.argmax(dim=-1) == wanted).tolist(), strict=True)
        return scored


@contextmanager
def all_cores_for_tokenizers() -> Iterator[None]:
    """The shell switches the tokenizers' threads off for forking data loaders; here nothing forks."""
    name = "TOKENIZERS_PARALLELISM"
    before = os.environ.get(name)
    os.environ[name] = "true"
    try:
        yield
    finally:
        os.environ.pop(name)
        os.environ.update({name: before} if before is not None else {})


def can_share(model: "PreTrainedModel") -> bool:
    """Whether the model's attention and LM head are ones that this module knows how to run."""
    config = model.config
    layer_types = getattr(config, "layer_types", None) or []
    return (
        config.model_type in KNOWN_MODEL_TYPES
        and config._attn_implementation in KNOWN_ATTENTION
        and all(kind == "full_attention" for kind in layer_types)
        and (bool(layer_types) or getattr(config, "sliding_window", None) is None)
    )


def find_decoder(model: Any) -> Any:
    """The decoder without its head; adapters stay in it."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return base.get_decoder()


def find_head(model: Any) -> Any:
    """The LM head: hidden state to logits."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return base.get_output_embeddings()


def refuse_truncation(requests: Sequence[Request], max_length: int) -> None:
    """ModelError for a prompt that does not fit: lm-eval would cut off its head in a warning."""
    for (text, _), context, option in requests:
        n_tokens = len(context) + len(option)
        if n_tokens > max_length + 1:
            raise ModelError(
                f"mmlu: a prompt of {n_tokens} tokens does not fit the model's {max_length} "
                f"({text[:60]!r}); lower mmlu.num_fewshot or use a model with a longer context"
            )


def pad_rows(
    rows: Sequence[Row], *, n_shared: int, dtype: torch.dtype, device: torch.device
) -> dict[str, torch.Tensor | None]:
    """The decoder's inputs: rows padded on the right, and who may attend to whom.

    Without branches plain causal attention is right, and padding at the end is seen by nobody.
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


def repeat_cache(shared: list[tuple[torch.Tensor, torch.Tensor]], n_rows: int) -> "Cache":
    """A fresh cache in which every row has seen the shared beginning."""
    from transformers import DynamicCache

    return DynamicCache(
        [(keys.expand(n_rows, -1, -1, -1), values.expand(n_rows, -1, -1, -1)) for keys, values in shared]
    )


def _count_tokens(request: Request) -> int:
    return len(request[1]) + len(request[2])


def _add_up(tokens: Sequence[Answer]) -> Answer:
    """Sum of a continuation's log-probs; it is greedy if each of its tokens is."""
    return sum(logprob for logprob, _ in tokens), all(is_greedy for _, is_greedy in tokens)
