"""Log-probs of given tokens under a frozen LM head, on a CPU.

TRL's kernel is made for a GPU. Its fallback for a CPU computes every tile of logits twice, forward and again
backward, in some twenty passes. A frozen head needs less. The gradient of a label's log-prob with respect to
its hidden state h is W[label] - E[W], where E[W] is the mean row of the head's weight W under the softmax. So
the forward pass multiplies twice (logits, E[W]) and the backward pass only scales. The entropy follows from
the same mean: log Z - h . E[W].

Both products go tile by tile over the vocabulary, many labels at once: a tile stays in the cache between the
two. The softmax is accumulated over tiles, scaled by the largest logit so far (Milakov and Gimelshein 2018,
"Online normalizer calculation for softmax").
"""

from collections.abc import Collection
from typing import Any, NamedTuple

import torch

from stages.model.cpu import multiply

ROWS_AT_ONCE, WORDS_AT_ONCE = 1024, 2048  # 8 MiB of logits in float32 a tile


class LabelScores(NamedTuple):
    """One number a label, named as in TRL's `FusedCausalLMOutput`; only `log_probs` has a gradient."""

    log_probs: torch.Tensor
    entropy: torch.Tensor | None
    log_sum_sq_probs: torch.Tensor | None  # log of the sum of the squares of all words' probabilities
    mean_logits: torch.Tensor | None
    is_top1: torch.Tensor | None


class _LabelLogps(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        labels: torch.Tensor,
        with_mean: bool,
        with_squares: bool,
    ) -> tuple[torch.Tensor, ...]:
        chunks = zip(torch.split(hidden, ROWS_AT_ONCE), torch.split(labels, ROWS_AT_ONCE), strict=True)
        parts = [_score_rows(rows, weight, words, with_mean, with_squares) for rows, words in chunks]
        *scores, direction = (torch.cat(one) for one in zip(*parts, strict=True))
        ctx.save_for_backward(direction)
        ctx.mark_non_differentiable(*scores[1:])
        return tuple(scores)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (direction,) = ctx.saved_tensors
        return grads[0][:, None] * direction, None, None, None, None


def _score_rows(
    hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, with_mean: bool, with_squares: bool
) -> tuple[torch.Tensor, ...]:
    """Log-prob, entropy, log_sum_sq_probs, is_top1 and W[label] - E[W] of each label.

    Without the mean, entropy and direction are empty; without squares their sum is.
    """
    n_rows, empty = len(hidden), hidden.new_empty(0)
    top, total = torch.full((n_rows,), -torch.inf), torch.zeros(n_rows)
    squares = torch.zeros(n_rows) if with_squares else None
    label_logits = torch.full((n_rows,), torch.nan)  # of a label that the head does not have
    mean_rows = torch.zeros_like(hidden) if with_mean else None
    for start in range(0, len(weight), WORDS_AT_ONCE):
        words = weight[start : start + WORDS_AT_ONCE]
        logits = multiply(hidden, words)
        here = ((labels >= start) & (labels < start + len(words))).nonzero()[:, 0]
        label_logits[here] = logits[here, labels[here] - start]
        # `amax` and not `max`, which also finds the place and takes ten times as long
        former_top, top = top, torch.maximum(top, logits.amax(dim=1))
        shrink = (former_top - top).exp_()
        logits.sub_(top[:, None]).exp_()
        total.mul_(shrink).add_(logits.sum(dim=1))
        if squares is not None:
            squares.mul_(shrink.square()).add_(torch.linalg.vecdot(logits, logits))
        if mean_rows is not None:
            mean_rows.mul_(shrink[:, None]).add_(multiply(logits, words.T))
    log_z = top + total.log()
    log_probs, is_top1 = label_logits - log_z, label_logits == top
    log_squares = empty if squares is None else squares.log() - 2 * total.log()
    if mean_rows is None:
        return log_probs, empty, log_squares, is_top1, empty
    mean_rows.div_(total[:, None])
    entropy = log_z - (hidden * mean_rows).sum(dim=1)
    return log_probs, entropy, log_squares, is_top1, weight[labels].sub_(mean_rows)


def label_logps(
    hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, *, outputs: Collection[str]
) -> LabelScores:
    """Score N labels from hidden states (N, H) under a head of weight (V, H), all float32 on a CPU.

    What `outputs` does not name is None. With `log_probs` alone and no gradient, half the work is left out.
    """
    with_mean = "entropy" in outputs or hidden.requires_grad
    with_squares = "log_sum_sq_probs" in outputs
    log_probs, entropy, squares, is_top1 = _LabelLogps.apply(hidden, weight, labels, with_mean, with_squares)  # type: ignore[no-untyped-call]
    return LabelScores(
        log_probs,
        entropy if "entropy" in outputs else None,
        squares if with_squares else None,
        hidden.detach() @ weight.mean(dim=0) if "mean_logits" in outputs else None,
        is_top1 if "is_top1" in outputs else None,
    )


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
