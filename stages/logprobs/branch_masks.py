"""Which tokens of a shared row attend to which, in the form that a model's attention takes.

Both branches of a row attend to the trunk and not to each other. `sdpa` and `eager` take an L x L mask.
`flex_attention` takes a rule and keeps which blocks of 128 x 128 it allows, so long rows need no such mask.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Attention classes that take a ready-made mask of any shape.
MASKABLE = {"sdpa", "eager", "flex_attention"}
FLEX_BLOCK = 128


def attention_masks(model: "PreTrainedModel", position_ids: torch.Tensor, branch: torch.Tensor) -> Any:
    """The `attention_mask` of a call: one mask, or one for each type of layer where a model has both."""
    config = model.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    layer_types = set(getattr(config, "layer_types", None) or ())

    def mask(within: int | None) -> Any:
        if config._attn_implementation == "flex_attention":
            return block_mask(position_ids, branch, window=within)
        allowed = branch_mask(position_ids, branch, window=within)
        if allowed.device.type != "cpu" and config._attn_implementation == "sdpa":
            return allowed
        # on a CPU sdpa would make this of a boolean mask in every layer, and save each for backward
        additive = torch.zeros(allowed.shape, dtype=model.dtype, device=allowed.device)
        return additive.masked_fill(~allowed, torch.finfo(model.dtype).min)

    if window is None or layer_types == {"full_attention"}:
        return mask(None)
    if layer_types > {"sliding_attention"}:  # a mixed model picks by the layer's type
        return {"full_attention": mask(None), "sliding_attention": mask(window)}
    return mask(window)


def _attends(
    query: torch.Tensor,
    key: torch.Tensor,
    own: torch.Tensor,
    other: torch.Tensor,
    is_near: torch.Tensor | bool,
) -> torch.Tensor:
    """Causal, to the own branch or the trunk. Padding attends to itself, lest a softmax be NaN."""
    allowed = (query >= key) & ((own == other) | (other == 0)) & (own >= 0) & (other >= 0)
    return (allowed & is_near) | (query == key)


def branch_mask(position_ids: torch.Tensor, branch: torch.Tensor, *, window: int | None) -> torch.Tensor:
    """(B, 1, L, L), True where a query attends to a key.

    Distance is counted in positions, so a sliding window means what it means in TRL's layout.
    """
    order = torch.arange(branch.shape[1], device=branch.device)
    is_near = True if window is None else position_ids[:, :, None] - position_ids[:, None, :] < window
    return _attends(order[:, None], order[None, :], branch[:, :, None], branch[:, None, :], is_near)[:, None]


def block_mask(position_ids: torch.Tensor, branch: torch.Tensor, *, window: int | None) -> BlockMask:
    """`branch_mask` for flex attention, as a rule that is evaluated block by block."""

    def rule(row: torch.Tensor, _head: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        is_near = True if window is None else position_ids[row, query] - position_ids[row, key] < window
        return _attends(query, key, branch[row, query], branch[row, key], is_near)

    n_rows, length = branch.shape
    # not compiled, the rule would be evaluated for all pairs of tokens at once
    create = create_block_mask if branch.device.type == "cpu" else _compiled_create()
    return create(rule, n_rows, None, length, length, device=str(branch.device), BLOCK_SIZE=FLEX_BLOCK)


@cache
def _compiled_create() -> Callable[..., BlockMask]:
    return torch.compile(create_block_mask)
