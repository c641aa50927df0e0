"""RMS norms and gated MLPs that pass over their arrays fewer times and save fewer of them for backward.

The norm (Zhang and Sennrich 2019) is one autograd function in float32 on a CPU and PyTorch's own kernel
elsewhere; transformers runs six operations forward and some ten backward. Of the gated MLP (Shazeer 2020,
SwiGLU) gate and up are saved for backward; their product is recomputed. The norm's weight must be frozen.

The gate equals transformers' to the bit in every dtype. The norms differ by rounding. Without gradients all
norms are computed this way, so a base, an adapter and a full policy are scored with the same norm.
"""

import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from stages.logprobs.fast.lora import gate_gradients, whole_layer
from stages.model.private_operations import FUSED_NORM, SILU_BACKWARD, private_operation

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FAMILIES = ("Llama", "Mistral", "Qwen2", "Qwen3")  # the tests compare these with transformers' layers
NORMS, MLPS = ({f"{family}{kind}" for family in FAMILIES} for kind in ("RMSNorm", "MLP"))
SILU = {"SiLU", "SiLUActivation"}


class _RmsNorm(torch.autograd.Function):
    """x * weight / sqrt(mean(x^2) + eps), the mean over the last dimension; no gradient for the weight."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        mean_square = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1])
        scale = mean_square.add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        normed: torch.Tensor = (x * scale).mul_(weight)
        return normed

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, scale = ctx.saved_tensors
        grad = grads[0] * weight
        along = torch.linalg.vecdot(grad, x)[..., None]
        return grad.mul_(scale).addcmul_(x, along * scale.pow(3), value=-1 / x.shape[-1]), None, None


class _GatedSilu(torch.autograd.Function):
    """silu(gate) * up."""

    @staticmethod
    def forward(ctx: Any, gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(gate, up)
        return torch.nn.functional.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        gate, up = ctx.saved_tensors
        return gate_gradients(grads[0], gate, up, torch.nn.functional.silu(gate))


def patch_layers(model: "PreTrainedModel") -> int:
    """Patch the norms and gated MLPs of the families that are known; returns how many."""
    has_gate = private_operation(SILU_BACKWARD) is not None
    n_patched = 0
    for layer in model.modules():
        name = type(layer).__name__
        forward: Callable[..., Any] | None = None
        if name in NORMS:
            forward = _norm_forward(type(layer).forward)
        elif name in MLPS and has_gate and type(layer.act_fn).__name__ in SILU:
            forward = _mlp_forward
        if forward is not None:
            layer.forward = types.MethodType(forward, layer)
            n_patched += 1
    return n_patched


def _norm_forward(usual_forward: Callable[..., Any]) -> Callable[..., Any]:
    def forward(self: Any, x: torch.Tensor) -> Any:
        weight = self.weight
        is_trained = weight.requires_grad and torch.is_grad_enabled()
        if is_trained or x.dtype != weight.dtype:
            return usual_forward(self, x)
        if x.device.type == "cpu" and x.dtype == torch.float32:
            return _RmsNorm.apply(x, weight, self.variance_epsilon)  # type: ignore[no-untyped-call]
        fused_norm = private_operation(FUSED_NORM)  # autocast would make `rms_norm`, its public form, float32
        if fused_norm is None:
            return usual_forward(self, x)
        return fused_norm(x, weight.shape, weight, self.variance_epsilon)[0]

    return forward


def _mlp_forward(self: Any, x: torch.Tensor) -> Any:
    gate, up = self.gate_proj(x), self.up_proj(x)
    down = whole_layer(self.down_proj, gate)
    if down is not None:
        return down.run(gate, up)
    return self.down_proj(_GatedSilu.apply(gate, up))  # type: ignore[no-untyped-call]
