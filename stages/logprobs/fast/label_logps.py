"""Log-probs of given tokens under a frozen LM head, on a CPU.

TRL's own kernel is made for a GPU. Its fallback for a CPU computes every tile of logits twice, once
forward and once again backward, and passes over it some twenty times. What DPO needs from a frozen head
is less: the gradient of a label's log-prob with respect to its hidden state h is W[label] - E[W], where
E[W] is the mean row of the head's weight W under the softmax. So the forward pass multiplies twice (logits,
E[W]) and the backward pass only scales. The entropy follows from the same mean: log Z - h . E[W].

Both products go tile by tile over the vocabulary, for many labels at once: narrow tiles stay in the cache
between the two, and many rows are what the processor multiplies fastest. The softmax is put together from
tiles as they come, scaled by the largest logit so far (Milakov and Gimelshein 2018, "Online normalizer
calculation for softmax").
"""

from typing import Any, NamedTuple

import torch

from stages.model.onednn import multiply

ROWS_AT_ONCE, WORDS_AT_ONCE = 1024, 2048  # 8 MiB of logits in float32 a tile


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
        parts = [
            _score_rows(
                hidden[start : start + ROWS_AT_ONCE], weight, labels[start : start + ROWS_AT_ONCE], with_mean
            )
            for start in range(0, len(labels), ROWS_AT_ONCE)
        ]
        log_probs, entropy, is_top1, direction = (torch.cat(one) for one in zip(*parts, strict=True))
        ctx.save_for_backward(direction)
        ctx.mark_non_differentiable(entropy, is_top1)
        return log_probs, entropy, is_top1

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (direction,) = ctx.saved_tensors
        return grads[0][:, None] * direction, None, None, None


def _score_rows(
    hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, with_mean: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log-prob, entropy, whether it is the most likely, and W[label] - E[W], of each label.

    Without the mean, entropy and direction are empty.
    """
    n_rows = len(hidden)
    top, total = torch.full((n_rows,), -torch.inf), torch.zeros(n_rows)
    label_logits = torch.full((n_rows,), torch.nan)  # of a label that the head does not have
    mean_rows = torch.zeros_like(hidden) if with_mean else None
    for start in range(0, len(weight), WORDS_AT_ONCE):
        words = weight[start : start + WORDS_AT_ONCE]
        logits = multiply(hidden, words)
        here = ((labels >= start) & (labels < start + len(words))).nonzero()[:, 0]
        label_logits[here] = logits[here, labels[here] - start]
        # where the largest stands is not asked: PyTorch takes ten times as long to say so
        former_top, top = top, torch.maximum(top, logits.amax(dim=1))
        shrink = (former_top - top).exp_()
        logits.sub_(top[:, None]).exp_()
        total.mul_(shrink).add_(logits.sum(dim=1))
        if mean_rows is not None:
            mean_rows.mul_(shrink[:, None]).add_(multiply(logits, words.T))
    log_z = top + total.log()
    log_probs, is_top1 = label_logits - log_z, label_logits == top
    if mean_rows is None:
        return log_probs, hidden.new_empty(0), is_top1, hidden.new_empty(0)
    mean_rows.div_(total[:, None])
    entropy = log_z - (hidden * mean_rows).sum(dim=1)
    return log_probs, entropy, is_top1, weight[labels].sub_(mean_rows)


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
