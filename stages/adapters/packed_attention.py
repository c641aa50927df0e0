"""All pairs of a batch in one row: attention of each part to what comes before it in its own pair.

    tokens   head | trunk 1 | chosen 1 | rejected 1 | trunk 2 | chosen 2 | ...

The head is what all prompts begin with: the chat template, as a rule. It is run once a batch, there is no
padding, and no mask of all tokens by all tokens: each pair's branches are two small causal problems. For
CPUs: on a GPU so many small kernels would take longer than the arithmetic that they save.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PACKED = "packed_pairs"  # as an `attn_implementation` of transformers


class Packing(NamedTuple):
    """How a row is cut: the head, then trunk, chosen and rejected of each pair; and each branch's mask."""

    lengths: list[int]
    query_lengths: list[int]  # the head, then trunk with chosen, and rejected, of each pair
    masks: list[torch.Tensor]  # of each pair: (trunk + chosen, head + trunk + chosen), then of rejected

    def arguments(self) -> dict[str, Any]:
        """What a call needs; a mask of four dimensions, which nobody reads, stops transformers making one."""
        return {"packing": self, "attention_mask": torch.zeros(1, 1, 1, 1)}


def make_packing(lengths: list[int]) -> Packing:
    """Masks and queries of a row with these lengths."""
    n_head, *rest = lengths
    masks, query_lengths = [], [n_head]
    for start in range(0, len(rest), 3):
        n_trunk, n_chosen, n_rejected = rest[start : start + 3]
        masks.append(_causal(n_trunk + n_chosen, n_head + n_trunk + n_chosen))
        masks.append(_causal(n_rejected, n_head + n_trunk + n_rejected))
        query_lengths += [n_trunk + n_chosen, n_rejected]
    return Packing(lengths, query_lengths, masks)


def _causal(n_queries: int, n_keys: int) -> torch.Tensor:
    """Additive; the last query sees all keys."""
    hidden = torch.ones(n_queries, n_keys, dtype=torch.bool).triu(n_keys - n_queries + 1)
    return torch.zeros(n_queries, n_keys).masked_fill(hidden, torch.finfo(torch.float32).min)


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
    n_groups = module.num_key_value_groups
    keys = torch.split(repeat_kv(key, n_groups), packing.lengths, dim=2)
    values = torch.split(repeat_kv(value, n_groups), packing.lengths, dim=2)
    queries = torch.split(query, packing.query_lengths, dim=2)

    def attend(number: int, places: list[int], **mask: Any) -> torch.Tensor:
        return torch.nn.functional.scaled_dot_product_attention(
            queries[number],
            torch.cat([keys[place] for place in places], dim=2),
            torch.cat([values[place] for place in places], dim=2),
            scale=scaling,
            **mask,
        )

    parts = [attend(0, [0], is_causal=True)] if packing.lengths[0] else []
    for pair, (chosen_mask, rejected_mask) in enumerate(
        zip(packing.masks[::2], packing.masks[1::2], strict=True)
    ):
        trunk = 1 + 3 * pair
        masks = (chosen_mask.to(query.dtype), rejected_mask.to(query.dtype))
        parts.append(attend(1 + 2 * pair, [0, trunk, trunk + 1], attn_mask=masks[0]))
        parts.append(attend(2 + 2 * pair, [0, trunk, trunk + 2], attn_mask=masks[1]))
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


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
