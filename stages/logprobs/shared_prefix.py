"""Answers TRL's call for per-token log-probs (`fused_lm_head=True`) from rows that share a prompt.

TRL lays a batch of B pairs out as 2B rows, `[prompt | chosen]` and `[prompt | rejected]`. The patched model
runs B rows (shared_rows.py) or, on a CPU, one row of all pairs (fast/packed_attention.py). The LM head runs
only where there is a label. The answer has TRL's shape, so every loss and metric of TRL's works on it.
"""

import types
from collections.abc import Callable, Collection
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast
from trl.trainer.utils import FusedCausalLMOutput

from stages.logprobs.branch_masks import MASKABLE, attention_masks
from stages.logprobs.fast.label_logps import can_score, label_logps
from stages.logprobs.fast.packed_attention import PACKED, can_pack
from stages.logprobs.shared_rows import LaidOut, SharedRows, lay_out
from stages.run.progress import say

# Nats a token by which shared rows may differ from two rows: rounding, no more.
LARGEST_DIFFERENCE = {torch.float32: 1e-3, torch.float16: 0.05, torch.bfloat16: 0.3}


def add_shared_prefix(model: PreTrainedModel, *, outputs: Collection[str]) -> bool:
    """Patch `model`, after TRL's `add_fused_lm_head` with the same `outputs`, to run shared rows.

    Returns False, with a message, where the model cannot run them: it then keeps TRL's two rows a pair.
    This is read off the model's config and then tried, on two made-up pairs.
    """
    fused_forward: Callable[..., Any] = model.forward
    reason = why_not(model)
    if reason is None:
        model.forward = types.MethodType(_shared_forward(fused_forward, outputs), model)
        if can_pack(model) and _is_same_when_packed(model, fused_forward):
            return True
        reason = _difference(model, fused_forward)
    if reason is not None:
        model.forward = fused_forward
        say(f"two rows a pair: {reason}")
    return reason is None


def _is_same_when_packed(model: PreTrainedModel, fused_forward: Callable[..., Any]) -> bool:
    """Switch to all pairs in one row, where that gives the log-probs of two rows a pair."""
    config = model.config.get_text_config()
    attention, config._attn_implementation = config._attn_implementation, PACKED
    if _difference(model, fused_forward) is None:
        return True
    config._attn_implementation = attention
    return False


def _shared_forward(fused_forward: Callable[..., Any], outputs: Collection[str]) -> Callable[..., Any]:
    def forward(
        self: PreTrainedModel,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        fused_lm_head: bool = False,
        laid_out: LaidOut | None = None,
        **kwargs: Any,
    ) -> Any:
        if not fused_lm_head:
            return fused_forward(input_ids=input_ids, attention_mask=attention_mask, labels=labels, **kwargs)
        if input_ids is None or attention_mask is None or labels is None:
            raise TypeError("a fused call needs input_ids, attention_mask and labels")
        attention = self.config.get_text_config()._attn_implementation
        if laid_out is None:  # a collator may have done it
            laid_out = lay_out(attention, input_ids, attention_mask, labels).to(input_ids.device)
        rows = laid_out.rows
        call = kwargs | {"input_ids": rows.input_ids, "position_ids": rows.position_ids}
        if rows.packing is None:
            call["attention_mask"] = attention_masks(self, rows.position_ids, rows.branch)
        else:
            call |= rows.packing.arguments()
        if can_score(self):
            hidden = self.base_model(**call).last_hidden_state[rows.source[:, 0], rows.source[:, 1]]
            weight = self.get_output_embeddings().weight
            per_label = label_logps(hidden, weight, rows.labels, outputs=outputs)._asdict()
        else:
            per_label = _fused_scores(self, fused_forward, rows, call)
        shape = (input_ids.shape[0], input_ids.shape[1] - 1)
        return FusedCausalLMOutput(
            **{
                name: None if values is None else _scatter(values[rows.scored], rows.target, shape)
                for name, values in per_label.items()
            },
            label_mask=labels[:, 1:] != -100,
        )

    return forward


def _fused_scores(
    model: PreTrainedModel, fused_forward: Callable[..., Any], rows: SharedRows, call: dict[str, Any]
) -> dict[str, torch.Tensor | None]:
    """TRL's head, given only the hidden states that have a label."""

    def keep_labelled(_module: Any, _args: Any, output: BaseModelOutputWithPast) -> BaseModelOutputWithPast:
        output.last_hidden_state = output.last_hidden_state[rows.source[:, 0], rows.source[:, 1]][None]
        return output

    hook = model.base_model.register_forward_hook(keep_labelled)
    try:
        output = fused_forward(**call, shift_labels=rows.labels[None], fused_lm_head=True)
    finally:
        hook.remove()
    names = ("log_probs", "entropy", "log_sum_sq_probs", "mean_logits", "is_top1")
    return {name: None if getattr(output, name) is None else getattr(output, name)[0] for name in names}


def _difference(model: PreTrainedModel, fused_forward: Callable[..., Any]) -> str | None:
    """How shared rows differ from two rows a pair on two made-up pairs, or None where they do not."""
    weights = next(model.parameters())
    if weights.numel() == 0 or weights.is_meta:
        return None  # sharded before it is wrapped: nothing can be run yet
    # pairs of prompts of 9 and 5 tokens; completions of 4 and 6, 7 and 3, whose first tokens are the same
    lengths = torch.tensor([[9, 4], [5, 7], [9, 6], [5, 3]], device=weights.device)
    place = torch.arange(15, device=weights.device)[None]
    in_row = place < lengths.sum(dim=1, keepdim=True)
    is_prompt = place < lengths[:, :1]
    own = torch.arange(4, device=weights.device)[:, None] * (place > lengths[:, :1])
    ids = torch.where(is_prompt, place * 7 + 3, place * 11 + own)
    ids = ids % model.config.get_text_config().vocab_size
    call = {
        "input_ids": ids,
        "attention_mask": in_row.long(),
        "labels": ids.masked_fill(~in_row | is_prompt, -100),
        "fused_lm_head": True,
        "use_cache": False,
    }
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            difference = (model(**call).log_probs - fused_forward(**call).log_probs).abs().max().item()
    except (TypeError, ValueError, RuntimeError, IndexError, AttributeError) as error:
        return f"{type(model).__name__} does not take them ({type(error).__name__}: {str(error)[:100]})"
    finally:
        model.train(was_training)
    if difference <= LARGEST_DIFFERENCE.get(weights.dtype, 0.3):
        return None
    return f"{type(model).__name__} gives other log-probs from shared rows (by {difference:.2g} nats)"


def why_not(model: PreTrainedModel) -> str | None:
    """The reason why `model` cannot run shared rows, or None."""
    config = model.config.get_text_config()
    if config._attn_implementation not in MASKABLE:
        return f"attention {config._attn_implementation!r} takes no ready-made mask"
    layer_types = set(getattr(config, "layer_types", None) or {"full_attention"})
    if not layer_types <= {"full_attention", "sliding_attention"}:
        return f"layers of type {sorted(layer_types)} carry state from token to token"
    if hasattr(config, "output_router_logits"):
        return "a mixture of experts balances its load over rows"
    return None


def _scatter(values: torch.Tensor, target: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    return values.new_zeros(shape).index_put((target[:, 0], target[:, 1]), values)
