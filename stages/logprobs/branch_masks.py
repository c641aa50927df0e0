"""Who may look at whom in a shared row, in the form that a model's attention takes.

Both branches of a row look at the prompt and not at each other. `sdpa` and `eager` take that as a mask of
L x L numbers. `flex_attention` takes a rule, and keeps of it which blocks of 128 x 128 to look into, so that
long rows need no such mask.
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
        return _as_attention_wants(model, branch_mask(position_ids, branch, window=within))

    if window is None or layer_types == {"full_attention"}:
        return mask(None)
    if layer_types > {"sliding_attention"}:  # a mixed model picks by the layer's type
        return {"full_attention": mask(None), "sliding_attention": mask(window)}
    return mask(window)


def branch_mask(position_ids: torch.Tensor, branch: torch.Tensor, *, window: int | None) -> torch.Tensor:
    """(B, 1, L, L), True where a query may look: backwards, in its own branch or the prompt, within `window`.

    Distance is counted in positions, not in places of the row, so a sliding window means what it meant in
    TRL's layout. Padding looks at itself, lest a softmax over nothing be NaN.
    """
    order = torch.arange(branch.shape[1], device=branch.device)
    backwards = order[:, None] >= order[None, :]
    same = (branch[:, None, :] == branch[:, :, None]) | (branch[:, None, :] == 0)
    allowed = backwards & same & (branch[:, :, None] >= 0) & (branch[:, None, :] >= 0)
    if window is not None:
        allowed &= position_ids[:, :, None] - position_ids[:, None, :] < window
    allowed |= torch.eye(branch.shape[1], dtype=torch.bool, device=branch.device)
    return allowed[:, None]


def block_mask(position_ids: torch.Tensor, branch: torch.Tensor, *, window: int | None) -> BlockMask:
    """`branch_mask` for flex attention, as a rule that is asked block by block."""

    def may_look(
        row: torch.Tensor, _head: torch.Tensor, query: torch.Tensor, key: torch.Tensor
    ) -> torch.Tensor:
        its, other = branch[row, query], branch[row, key]
        allowed = (query >= key) & ((its == other) | (other == 0)) & (its >= 0) & (other >= 0)
        if window is not None:
            allowed = allowed & (position_ids[row, query] - position_ids[row, key] < window)
        return allowed | (query == key)

    n_rows, length = branch.shape
    # not compiled, the rule would be asked for all pairs of tokens at once
    create = create_block_mask if branch.device.type == "cpu" else _compiled_create()
    return create(may_look, n_rows, None, length, length, device=str(branch.device), BLOCK_SIZE=FLEX_BLOCK)


@cache
def _compiled_create() -> Callable[..., BlockMask]:
    return torch.compile(create_block_mask)


def _as_attention_wants(model: "PreTrainedModel", mask: torch.Tensor) -> torch.Tensor:
    if mask.device.type != "cpu" and model.config.get_text_config()._attn_implementation == "sdpa":
        return mask
    # on a CPU, sdpa would turn a boolean mask into this one in every layer, and keep them all for backward
    additive = torch.zeros(mask.shape, dtype=model.dtype, device=mask.device)
    return additive.masked_fill(~mask, torch.finfo(model.dtype).min)
