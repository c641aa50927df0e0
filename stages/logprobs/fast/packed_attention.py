"""All pairs of a batch in one row: each part attends to what comes before it in its own pair.

    tokens   head | trunk 1 | chosen 1 | rejected 1 | trunk 2 | chosen 2 | ...

The head is what all prompts begin with, as a rule the chat template. It is computed once a batch. There is no
padding and no L x L mask: each pair's branches are two small causal attention calls. This is for CPUs; a GPU
would take longer to start so many small kernels than it saves.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from stages.model.private_operations import FLASH_ATTENTION, FLASH_ATTENTION_BACKWARD, private_operation

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PACKED = "packed_pairs"  # as an `attn_implementation` of transformers


class Call(NamedTuple):
    """One attention call: the parts of the row that are its keys (the last ones ask), and its mask."""

    keys: list[int]
    mask: torch.Tensor  # (queries, keys), additive


class Packing(NamedTuple):
    """How a row is cut: the head, then trunk, chosen and rejected of each pair; and its calls."""

    lengths: list[int]
    query_lengths: list[int]  # of each call: the head; then, a pair, trunk with chosen, and rejected
    calls: list[Call]
    key_positions: torch.Tensor  # of all calls, one after the other

    def keys_of_calls(self, row: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The row's keys, or values, of each call."""
        lengths = [call.mask.shape[1] for call in self.calls]
        return torch.split(row.index_select(2, self.key_positions), lengths, dim=2)

    def arguments(self) -> dict[str, Any]:
        """Arguments of the model's call; the mask is unused and keeps transformers from making one."""
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
    return Packing(
        lengths, query_lengths, calls, torch.cat([parts[number] for call in calls for number in call.keys])
    )


def _causal(n_queries: int, n_keys: int) -> torch.Tensor:
    """Additive; the last query attends to all keys."""
    hidden = torch.ones(n_queries, n_keys, dtype=torch.bool).triu(n_keys - n_queries + 1)
    return torch.zeros(n_queries, n_keys).masked_fill(hidden, torch.finfo(torch.float32).min)


class _Attention(torch.autograd.Function):
    """All calls of a row; what is saved for backward is the row's own queries, keys, values and outputs.

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
        attend, _ = _operations()
        _, n_heads, n_tokens, width = query.shape
        outputs = query.new_empty(1, n_tokens, n_heads, width)  # as the next layer reads them
        queries, each_output = _split(packing.query_lengths, query, outputs.transpose(1, 2))
        keys, values = packing.keys_of_calls(key), packing.keys_of_calls(value)
        log_sums = []
        per_call = zip(packing.calls, queries, keys, values, each_output, strict=True)
        for call, call_query, call_keys, call_values, output in per_call:
            mask = call.mask.to(query.dtype)
            came, log_sum = attend(call_query, call_keys, call_values, attn_mask=mask, scale=scaling)
            output.copy_(came)
            log_sums.append(log_sum)
        ctx.save_for_backward(query, key, value, outputs, *log_sums)
        ctx.packing, ctx.scaling = packing, scaling
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        _, attend_backward = _operations()
        packing: Packing = ctx.packing
        query, key, value, outputs, *log_sums = ctx.saved_tensors
        grad_query = torch.empty_like(query)
        grad_key, grad_value = torch.zeros_like(key), torch.zeros_like(value)
        by_head = (grads[0].transpose(1, 2), query, outputs.transpose(1, 2), grad_query)
        query_parts = _split(packing.query_lengths, *by_head)
        grads_of_parts = _split(packing.lengths, grad_key, grad_value)
        keys, values = packing.keys_of_calls(key), packing.keys_of_calls(value)
        per_call = zip(packing.calls, log_sums, keys, values, *query_parts, strict=True)
        for call, log_sum, call_keys, call_values, grad, call_query, output, call_grad_query in per_call:
            came, *key_and_value = attend_backward(
                grad, call_query, call_keys, call_values, output, log_sum, 0.0, False,
                attn_mask=call.mask.to(query.dtype), scale=ctx.scaling,
            )  # fmt: skip
            call_grad_query.copy_(came)
            lengths = [packing.lengths[number] for number in call.keys]
            for parts, found in zip(grads_of_parts, key_and_value, strict=True):
                for number, part in zip(call.keys, found.split(lengths, dim=2), strict=True):
                    parts[number].add_(part)
        return grad_query, grad_key, grad_value, None, None


def _operations() -> tuple[Any, Any]:
    """Attention of a CPU and its gradient, each None where this build of PyTorch has none."""
    return private_operation(FLASH_ATTENTION), private_operation(FLASH_ATTENTION_BACKWARD)


def _split(lengths: list[int], *rows: torch.Tensor) -> list[tuple[torch.Tensor, ...]]:
    """Each row (1, heads, T, width), cut into views."""
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
    """transformers' attention of a packed row, (1, heads, T, width) each; sdpa's where `packing` is None."""
    if packing is None:
        plain: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **kwargs
        )
        return plain
    if torch.is_autocast_enabled("cpu"):  # which casts for sdpa, but not for an autograd function
        dtype = torch.get_autocast_dtype("cpu")
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    return _Attention.apply(query, key, value, packing, scaling), None  # type: ignore[no-untyped-call]


def can_pack(model: "PreTrainedModel") -> bool:
    """On a CPU, with sdpa over whole rows, without dropout, in every layer."""
    config = model.config.get_text_config()
    layer_types = set(getattr(config, "layer_types", None) or {"full_attention"})
    return (
        model.device.type == "cpu"
        and config._attn_implementation == "sdpa"
        and layer_types == {"full_attention"}
        and getattr(config, "sliding_window", None) is None
        and not getattr(config, "attention_dropout", 0)
        and None not in _operations()
    )


AttentionInterface.register(PACKED, packed_attention)
AttentionMaskInterface.register(PACKED, sdpa_mask)
