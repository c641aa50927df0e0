"""Runs both completions of a pair in one row, so that what they have in common up front is run once.

TRL lays a batch of B pairs out as 2B rows, `[prompt | chosen]` and `[prompt | rejected]`, and asks
the model for per-token log-probs (`fused_lm_head=True`). `add_shared_prefix` answers that call from
B rows instead:

    tokens     trunk[:-1]  | last chosen...  | last rejected...
    positions  0 .. t-2    | t-1 ..          | t-1 ..            (each branch restarts)
    attention  causal, and the branches do not see each other

On a CPU all pairs of a batch may stand in one such row: logprobs/fast/packed_attention.py.

The trunk is the prompt and the tokens with which both completions begin: editors often leave the first
words as they are. Its last token opens each branch, so every label after it has a predictor of its own;
a label in the trunk has one predictor and counts for both rows. The LM head runs only where there is a
label. The answer has TRL's shape, so every loss and metric of TRL's works on it.
"""

import types
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast
from trl.trainer.utils import FusedCausalLMOutput

from stages.logprobs.branch_masks import FLEX_BLOCK, MASKABLE, attention_masks
from stages.logprobs.fast.label_logps import can_score, label_logps
from stages.logprobs.fast.packed_attention import PACKED, Packing, can_pack, make_packing
from stages.run.progress import say

if TYPE_CHECKING:
    from collections.abc import Callable

# Nats a token by which shared rows may differ from two rows: rounding, no more.
LARGEST_DIFFERENCE = {torch.float32: 1e-3, torch.float16: 0.05, torch.bfloat16: 0.3}


class SharedRows(NamedTuple):
    """B shared rows of L tokens and where their labels stand in TRL's 2B rows of T tokens.

    N labels are scored, M are asked for: those in a trunk stand in two of TRL's rows.
    """

    input_ids: torch.Tensor  # (B, L)
    position_ids: torch.Tensor  # (B, L)
    branch: torch.Tensor  # (B, L): 0 trunk, 1 chosen, 2 rejected, -1 padding
    source: torch.Tensor  # (N, 2): row and position in (B, L) of each label's predictor
    labels: torch.Tensor  # (N,)
    target: torch.Tensor  # (M, 2): row and position in (2B, T - 1), TRL's shifted grid
    scored: torch.Tensor  # (M,): which of the N labels stands there
    packing: Packing | None = None  # where all pairs stand in one row


def share_prefix(
    input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor, *, packed: bool = False
) -> SharedRows:
    """Lay TRL's right-padded 2B rows (chosen first) out as B rows; `labels` is -100 outside completions.

    `packed` puts all pairs into one row without padding, after the tokens with which all prompts begin.
    """
    n_pairs = input_ids.shape[0] // 2
    ids = input_ids.cpu()
    n_prompt = (labels != -100).int().argmax(dim=1).tolist()
    n_total = attention_mask.sum(dim=1).tolist()
    n_head = _n_common_prompt(ids[:n_pairs], n_prompt[:n_pairs]) if packed else 0
    rows, positions, branches = [ids[0, :n_head]], [torch.arange(n_head)], [torch.zeros(n_head)]
    source, target, scored = [], [], []
    lengths, n_scored, offset = [n_head], 0, n_head
    for pair in range(n_pairs):
        start, twin = n_prompt[pair], pair + n_pairs
        n_trunk = start + _n_common(ids[pair, start : n_total[pair]], ids[twin, start : n_total[twin]])
        parts = [(0, pair, n_head, n_trunk - 1)]
        parts += [(1, pair, n_trunk - 1, n_total[pair] - 1), (2, twin, n_trunk - 1, n_total[twin] - 1)]
        rows.append(torch.cat([ids[row, first:last] for _, row, first, last in parts]))
        positions.append(torch.cat([torch.arange(first, last) for _, _, first, last in parts]))
        branches.append(torch.cat([torch.full((last - first,), number) for number, _, first, last in parts]))
        if not packed:
            offset = 0
        for number, row, first, last in parts:
            places = torch.arange(max(first, start - 1), last)  # each predicts the token after it
            row_number = torch.full_like(places, 0 if packed else pair)
            source.append(torch.stack([row_number, places - first + offset], dim=1))
            for place in (pair, twin) if number == 0 else (row,):
                target.append(torch.stack([torch.full_like(places, place), places], dim=1))
                scored.append(torch.arange(n_scored, n_scored + len(places)))
            n_scored += len(places)
            offset += last - first
            lengths.append(last - first)
    device = input_ids.device

    def together(parts: list[torch.Tensor], value: int) -> torch.Tensor:
        whole = torch.cat(parts)[None] if packed else _pad(parts[1:], value)
        return whole.to(device=device, dtype=ids.dtype)

    targets, which = torch.cat(target), torch.cat(scored)
    next_ids = torch.empty(n_scored, dtype=ids.dtype)
    next_ids[which] = ids[targets[:, 0], targets[:, 1] + 1]
    return SharedRows(
        input_ids=together(rows, int(ids[0, 0])),
        position_ids=together(positions, 0),
        branch=together(branches, -1),
        source=torch.cat(source).to(device),
        labels=next_ids.to(device),
        target=targets.to(device),
        scored=which.to(device),
        packing=make_packing(lengths) if packed else None,
    )


def _n_common_prompt(prompts: torch.Tensor, n_prompt: list[int]) -> int:
    """Tokens with which all prompts begin; a prompt's last token is left to its pair: it opens branches."""
    n_most = min(n_prompt) - 1
    differ = (prompts[:, :n_most] != prompts[:1, :n_most]).any(dim=0).nonzero()
    return int(differ[0]) if len(differ) else n_most


def _n_common(chosen: torch.Tensor, rejected: torch.Tensor) -> int:
    """Tokens with which both completions begin; at least one token of each is left to its branch."""
    n_most = min(len(chosen), len(rejected)) - 1
    differ = (chosen[:n_most] != rejected[:n_most]).nonzero()
    return int(differ[0]) if len(differ) else n_most


def pad_to_blocks(rows: SharedRows) -> SharedRows:
    """The same rows, padded to whole blocks of flex attention, so that it meets few different lengths."""
    ends = (0, -rows.branch.shape[1] % FLEX_BLOCK)
    return rows._replace(
        input_ids=torch.nn.functional.pad(rows.input_ids, ends),
        position_ids=torch.nn.functional.pad(rows.position_ids, ends),
        branch=torch.nn.functional.pad(rows.branch, ends, value=-1),
    )


def add_shared_prefix(model: PreTrainedModel, *, with_metrics: bool) -> bool:
    """Patch `model`, after TRL's `add_fused_lm_head`, to answer fused calls from shared rows.

    `with_metrics` tells whether the caller reads more than `log_probs`, as TRL's training does.
    Returns False, with a message, where the model cannot run them: it then keeps TRL's two rows a pair.
    Whether it can is not only read off its config but tried, on two made-up pairs.
    """
    fused_forward: Callable[..., Any] = model.forward
    reason = why_not(model)
    if reason is None:
        model.forward = types.MethodType(_shared_forward(fused_forward, with_metrics), model)
        if can_pack(model) and _is_same_when_packed(model, fused_forward):
            return True
        reason = _difference(model, fused_forward)
    if reason is not None:
        model.forward = fused_forward
        say(f"two rows a pair: {reason}")
    return reason is None


def _is_same_when_packed(model: PreTrainedModel, fused_forward: "Callable[..., Any]") -> bool:
    """Try all pairs in one row and keep it so, where it gives what two rows a pair give."""
    config = model.config.get_text_config()
    attention, config._attn_implementation = config._attn_implementation, PACKED
    if _difference(model, fused_forward) is None:
        return True
    config._attn_implementation = attention
    return False


def _shared_forward(fused_forward: "Callable[..., Any]", with_metrics: bool) -> "Callable[..., Any]":
    def forward(
        self: PreTrainedModel,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        fused_lm_head: bool = False,
        **kwargs: Any,
    ) -> Any:
        if not fused_lm_head:
            return fused_forward(input_ids=input_ids, attention_mask=attention_mask, labels=labels, **kwargs)
        if input_ids is None or attention_mask is None or labels is None:
            raise TypeError("a fused call needs input_ids, attention_mask and labels")
        attention = self.config.get_text_config()._attn_implementation
        rows = share_prefix(input_ids, attention_mask, labels, packed=attention == PACKED)
        if attention == "flex_attention":
            rows = pad_to_blocks(rows)
        call = kwargs | {"input_ids": rows.input_ids, "position_ids": rows.position_ids}
        if rows.packing is None:
            call["attention_mask"] = attention_masks(self, rows.position_ids, rows.branch)
        else:
            call |= rows.packing.arguments()
        if can_score(self):
            hidden = self.base_model(**call).last_hidden_state[rows.source[:, 0], rows.source[:, 1]]
            weight = self.get_output_embeddings().weight
            scores = label_logps(hidden, weight, rows.labels, with_metrics=with_metrics)
            per_label = scores._asdict()
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
    model: PreTrainedModel, fused_forward: "Callable[..., Any]", rows: SharedRows, call: dict[str, Any]
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


def _difference(model: PreTrainedModel, fused_forward: "Callable[..., Any]") -> str | None:
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


def _pad(rows: list[torch.Tensor], value: int) -> torch.Tensor:
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)
