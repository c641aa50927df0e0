"""Norms, gated MLPs and rotary positions that pass over their arrays fewer times, and keep fewer of them.

transformers writes a root mean square norm (Zhang and Sennrich 2019) as six steps over an array, and some
ten on the way back. In float32 on a CPU it is three and four here, and the LoRA layers behind it keep
nothing of their own of what it gives them (logprobs/fast/lora.py). On a GPU it is PyTorch's own kernel, one
each way, which keeps its input and nothing else of that size. Of a gated MLP's `silu(gate) * up` (Shazeer
2020, SwiGLU) autograd keeps three arrays; here it keeps gate and up, from which the third is cheap to
compute again. For rotary positions see logprobs/fast/lean_layers.py.

The gate's numbers are transformers' to the bit, whatever the type. The others' differ by rounding: in 16 bits
transformers rounds a norm before it puts the weight on and once more after it, PyTorch's kernel at the end
alone. Both norms are for weights that are not being learned. Scoring learns nothing, so a base, an adapter
on it and a full policy are all scored with the same norm.
"""

import types
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable
from stages.logprobs.fast.lora import Source, whole_layer
from stages.model.freed_memory import empty_with_room

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import PreTrainedModel


class _Rotate(torch.autograd.Function):
    """x cos + turned(x) sin, where turned((first, second)) = (-second, first), halves of the last dimension.

    x (..., width); cos and sin of a shape that x's takes up, of the same width. No gradient for either.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(cos, sin)
        return _turn(x, cos, *_halves(sin), sign=1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        sin_first, sin_second = _halves(sin)
        return _turn(grads[0], cos, sin_second, sin_first, sign=-1), None, None


def _turn(
    x: torch.Tensor, cos: torch.Tensor, sin_first: torch.Tensor, sin_second: torch.Tensor, *, sign: int
) -> torch.Tensor:
    """By halves: (first cos - sign second `sin_first`, second cos + sign first `sin_second`)."""
    turned = x * cos
    (first, second), (turned_first, turned_second) = _halves(x), _halves(turned)
    turned_first.addcmul_(second, sin_first, value=-sign)
    turned_second.addcmul_(first, sin_second, value=sign)
    return turned


def _halves(array: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    middle = array.shape[-1] // 2
    return array[..., :middle], array[..., middle:]


def rotate(
    query: torch.Tensor, key: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """transformers' `apply_rotary_pos_emb`: query and key (B, heads, T, width), cos and sin (B, T, width)."""
    cos, sin = cos[:, None], sin[:, None]
    return (
        _Rotate.apply(query, cos, sin),  # type: ignore[no-untyped-call]
        _Rotate.apply(key, cos, sin),  # type: ignore[no-untyped-call]
    )


@cache
def with_lean_rotation(forward: "Callable[..., Any]") -> "Callable[..., Any]":
    """The same function of transformers', a plain one, to which `apply_rotary_pos_emb` means `rotate`."""
    names = forward.__globals__ | {"apply_rotary_pos_emb": rotate}
    copy = types.FunctionType(forward.__code__, names, forward.__name__, forward.__defaults__)
    copy.__kwdefaults__ = forward.__kwdefaults__
    return copy


FAMILIES = ("Llama", "Mistral", "Qwen2", "Qwen3")  # whose layers the tests pin this to


SILU = {"SiLU", "SiLUActivation"}


FUSED_NORM = torch.ops.aten._fused_rms_norm.default  # what `torch.nn.functional.rms_norm` calls on a GPU


class _RmsNorm(torch.autograd.Function):
    """x * weight / sqrt(mean(x^2) + eps), the mean over the last dimension, and what x is scaled by.

    No gradient for the weight, nor through the scale as an output.
    """

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, eps: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        mean_square = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1])
        scale = mean_square.add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        ctx.mark_non_differentiable(scale)
        normed = empty_with_room(x)  # which passes by, as a rule: a `Source` is kept in its place
        return torch.mul(x, scale, out=normed).mul_(weight), scale

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
        grad_up = torch.nn.functional.silu(gate).mul_(grads[0])
        return torch.ops.aten.silu_backward(grads[0] * up, gate), grad_up


def make_layers_lean(model: "PreTrainedModel") -> int:
    """Patch the norms, MLPs and attention of `model` that are known; returns how many were."""
    n_patched = 0
    for layer in model.modules():
        name = type(layer).__name__
        forward: Callable[..., Any] | None = None
        if name in {f"{family}RMSNorm" for family in FAMILIES}:
            forward = _norm_forward(type(layer).forward)
        elif name in {f"{family}MLP" for family in FAMILIES} and type(layer.act_fn).__name__ in SILU:
            forward = _mlp_forward
        elif name in {f"{family}Attention" for family in FAMILIES}:
            forward = with_lean_rotation(type(layer).forward)
        if forward is not None:
            layer.forward = types.MethodType(forward, layer)
            n_patched += 1
    return n_patched


def _norm_forward(usual_forward: "Callable[..., Any]") -> "Callable[..., Any]":
    def forward(self: Any, x: torch.Tensor) -> Any:
        weight = self.weight
        is_learned = weight.requires_grad and torch.is_grad_enabled()
        if is_learned or x.dtype != weight.dtype:
            return usual_forward(self, x)
        if not (x.device.type == "cpu" and x.dtype == torch.float32):
            # not `rms_norm`: autocast would have that give float32
            return FUSED_NORM(x, weight.shape, weight, self.variance_epsilon)[0]
        normed, scale = _RmsNorm.apply(x, weight, self.variance_epsilon)  # type: ignore[no-untyped-call]
        # read by the layers that get this very array (logprobs/fast/lora.py); none of them writes into it
        normed.source = Source(x.detach(), scale, weight)
        return normed

    return forward


def _mlp_forward(self: Any, x: torch.Tensor) -> Any:
    gate, up = self.gate_proj(x), self.up_proj(x)
    down = whole_layer(self.down_proj, gate)
    if down is not None:
        return down.run_gated(gate, up)
    return self.down_proj(_GatedSilu.apply(gate, up))  # type: ignore[no-untyped-call]
