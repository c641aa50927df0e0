"""Log-probs of given tokens under a frozen LM head, on a CPU.

TRL's own kernel is made for a GPU. Its fallback for a CPU computes every tile of logits twice, once
forward and once again backward, and passes over it some twenty times. What DPO needs from a frozen head
is less: the gradient of a label's log-prob with respect to its hidden state h is W[label] - E[W], where
E[W] is the mean row of the head's weight W under the softmax. So the forward pass multiplies twice (logits,
E[W]) and the backward pass only scales. The entropy follows from the same mean: log Z - h . E[W].
"""

from typing import Any, NamedTuple

import torch

LOGITS_AT_ONCE = 2**23  # 32 MiB in float32: a tile that is still partly in cache when it is read again


class LabelScores(NamedTuple):
    """One number a label; only `log_probs` carries a gradient, the rest is None where not asked for."""

    log_probs: torch.Tensor
    entropy: torch.Tensor | None
    mean_logits: torch.Tensor | None
    is_top1: torch.Tensor | None


class _LabelLogps(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, with_mean: bool
    ) -> tuple[torch.Tensor, ...]:
        log_probs, entropy = torch.empty(len(labels)), torch.empty(len(labels))
        is_top1 = torch.empty(len(labels), dtype=torch.bool)
        mean_rows = torch.empty_like(hidden) if with_mean else hidden
        step = max(LOGITS_AT_ONCE // len(weight), 1)
        for start in range(0, len(labels), step):
            part = slice(start, start + step)
            logits = hidden[part] @ weight.T
            label_logits = logits.gather(1, labels[part, None])[:, 0]
            top, at = logits.max(dim=1)
            logits.sub_(top[:, None]).exp_()
            total = logits.sum(dim=1)
            log_z = top + total.log()
            log_probs[part] = label_logits - log_z
            is_top1[part] = at == labels[part]
            if with_mean:
                mean_rows[part] = (logits @ weight).div_(total[:, None])
                entropy[part] = log_z - (hidden[part] * mean_rows[part]).sum(dim=1)
        ctx.save_for_backward(weight[labels] - mean_rows if with_mean else None)
        ctx.mark_non_differentiable(entropy, is_top1)
        return log_probs, entropy, is_top1

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (direction,) = ctx.saved_tensors
        return grads[0][:, None] * direction, None, None, None


def label_logps(
    hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, *, with_metrics: bool
) -> LabelScores:
    """Score N labels from hidden states (N, H) under a head of weight (V, H), all float32 on a CPU.

    Without metrics and without a gradient to come, half the arithmetic is left out.
    """
    with_mean = with_metrics or hidden.requires_grad
    log_probs, entropy, is_top1 = _LabelLogps.apply(hidden, weight, labels, with_mean)  # type: ignore[no-untyped-call]
    if not with_metrics:
        return LabelScores(log_probs, None, None, None)
    mean_logits = hidden.detach() @ weight.mean(dim=0)
    return LabelScores(log_probs, entropy, mean_logits, is_top1)


def can_score(model: Any) -> bool:
    """Is the model's head a plain, frozen float32 one on a CPU, whose logits nothing scales or caps?"""
    head, config = model.get_output_embeddings(), model.config.get_text_config()
    names = (
        "final_logit_softcapping", "logit_scale", "output_multiplier", "lm_head_multiplier", "logits_scaling",
    )  # fmt: skip
    return bool(
        type(head) is torch.nn.Linear
        and head.bias is None
        and head.weight.device.type == "cpu"
        and head.weight.dtype == torch.float32
        and not (head.weight.requires_grad and torch.is_grad_enabled())
        and not torch.is_autocast_enabled("cpu")
        and all(getattr(config, name, None) is None for name in names)
    )
