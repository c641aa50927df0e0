"""All pairs of a batch in one row: attention of each part to what comes before it in its own pair.

    tokens   head | trunk 1 | chosen 1 | rejected 1 | trunk 2 | chosen 2 | ...

The head is what all prompts begin with: the chat template, as a rule. It is run once a batch, there is no
padding, and no mask of all tokens by all tokens: each pair's branches are two small causal problems. For
CPUs: on a GPU so many small kernels would take longer than the arithmetic that they save.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PACKED = "packed_pairs"  # as an `attn_implementation` of transformers
ATTEND = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
ATTEND_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward.default


class Call(NamedTuple):
    """One attention call: the parts of the row that it sees, the last of them asking, and the mask."""

    keys: list[int]
    mask: torch.Tensor  # (queries, keys), additive


class Packing(NamedTuple):
    """How a row is cut: the head, then trunk, chosen and rejected of each pair; and its calls."""

    lengths: list[int]
    query_lengths: list[int]  # of each call: the head, then trunk with chosen, and rejected, of each pair
    calls: list[Call]
    seen: torch.Tensor  # tokens that each call sees, one call after the other

    def keys_of_calls(self, row: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Those of the row's keys, or values, that each call sees."""
        lengths = [call.mask.shape[1] for call in self.calls]
        return torch.split(row.index_select(2, self.seen), lengths, dim=2)

    def arguments(self) -> dict[str, Any]:
        """What a call needs; a mask of four dimensions, which nobody reads, stops transformers making one."""
        return {"packing": self, "attention_mask": torch.zeros(1, 1, 1, 1)}


def make_packing(lengths: list[int]) -> Packing:
    """The calls of a row with these lengths."""
    n_head = lengths[0]
    calls = [Call([0], _causal(n_head, n_head))] if n_head else []
    query_lengths = [n_head] if n_head else []
    for trunk in range(1, len(lengths), 3):
        n_trunk, n_chosen, n_rejected = lengths[trunk : trunk + 3]
        masks = (
            _causal(n_trunk + n_chosen, n_head + n_trunk + n_chosen),
            _causal(n_rejected, n_head + n_trunk + n_rejected),
        )
        calls += [Call([0, trunk, trunk + 1], masks[0]), Call([0, trunk, trunk + 2], masks[1])]
        query_lengths += [n_trunk + n_chosen, n_rejected]
    parts = torch.split(torch.arange(sum(lengths)), lengths)
    seen = [parts[number] for call in calls for number in call.keys]
    return Packing(lengths, query_lengths, calls, torch.cat(seen))


def _causal(n_queries: int, n_keys: int) -> torch.Tensor:
    """Additive; the last query sees all keys."""
    hidden = torch.ones(n_queries, n_keys, dtype=torch.bool).triu(n_keys - n_queries + 1)
    return torch.zeros(n_queries, n_keys).masked_fill(hidden, torch.finfo(torch.float32).min)


class _Attention(torch.autograd.Function):
    """All calls of a row; autograd keeps the row's own queries, keys, values and answers, no copies of them.

    The two operations are those that sdpa itself calls on a CPU; heads may share their keys and values.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        packing: Packing,
        scaling: float | None,
    ) -> torch.Tensor:
        _, n_heads, n_tokens, width = query.shape
        answers = query.new_empty(1, n_tokens, n_heads, width)  # as the next layer reads them
        queries, each_answer = _split(packing.query_lengths, query, answers.transpose(1, 2))
        keys, values = packing.keys_of_calls(key), packing.keys_of_calls(value)
        log_sums = []
        per_call = zip(packing.calls, queries, keys, values, each_answer, strict=True)
        for call, asking, seen_keys, seen_values, answer in per_call:
            mask = call.mask.to(query.dtype)
            came, log_sum = ATTEND(asking, seen_keys, seen_values, attn_mask=mask, scale=scaling)
            answer.copy_(came)
            log_sums.append(log_sum)
        ctx.save_for_backward(query, key, value, answers, *log_sums)
        ctx.packing, ctx.scaling = packing, scaling
        return answers

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, answers, *log_sums = ctx.saved_tensors
        grad_query, grad_key, grad_value = (
            torch.empty_like(query), torch.zeros_like(key), torch.zeros_like(value),
        )  # fmt: skip
        by_head = (grads[0].transpose(1, 2), query, answers.transpose(1, 2), grad_query)
        asking_parts = _split(ctx.packing.query_lengths, *by_head)
        grads_of_parts = _split(ctx.packing.lengths, grad_key, grad_value)
        keys, values = ctx.packing.keys_of_calls(key), ctx.packing.keys_of_calls(value)
        per_call = zip(ctx.packing.calls, log_sums, keys, values, *asking_parts, strict=True)
        for call, log_sum, seen_keys, seen_values, grad, asking, answer, grad_asking in per_call:
            came, *came_seen = ATTEND_BACKWARD(
                grad, asking, seen_keys, seen_values, answer, log_sum, 0.0, False,
                attn_mask=call.mask.to(query.dtype), scale=ctx.scaling,
            )  # fmt: skip
            grad_asking.copy_(came)
            lengths = [ctx.packing.lengths[number] for number in call.keys]
            for parts, its_own in zip(grads_of_parts, came_seen, strict=True):
                torch._foreach_add_([parts[number] for number in call.keys], its_own.split(lengths, dim=2))
        return grad_query, grad_key, grad_value, None, None


def _split(lengths: list[int], *rows: torch.Tensor) -> list[tuple[torch.Tensor, ...]]:
    """Each row (1, heads, T, width), cut into parts that are views of it."""
    return [torch.split(row, lengths, dim=2) for row in rows]


def packed_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    packing: Packing | None = None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention of a packed row, (1, heads, T, width) each; sdpa's where none is told."""
    if packing is None:
        plain: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **kwargs
        )
        return plain
    if torch.is_autocast_enabled("cpu"):  # which casts for sdpa, but not for a step of our own
        dtype = torch.get_autocast_dtype("cpu")
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    return _Attention.apply(query, key, value, packing, scaling), None  # type: ignore[no-untyped-call]


def can_pack(model: "PreTrainedModel") -> bool:
    """On a CPU, with sdpa over whole rows in every layer."""
    config = model.config.get_text_config()
    layer_types = set(getattr(config, "layer_types", None) or {"full_attention"})
    return (
        model.device.type == "cpu"
        and config._attn_implementation == "sdpa"
        and layer_types == {"full_attention"}
        and getattr(config, "sliding_window", None) is None
    )


AttentionInterface.register(PACKED, packed_attention)
AttentionMaskInterface.register(PACKED, sdpa_mask)
