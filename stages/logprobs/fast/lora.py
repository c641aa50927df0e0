"""A dense layer and its LoRA in one step of autograd, on a CPU.

As two steps, the gradients that both have for what goes in are added in a pass of their own. Here the last
multiplication adds itself, and LoRA's narrow products go where the wide ones go (model/onednn.py).

It keeps less, too. Behind a gate: what the gate and its partner are, not their product, which is as wide as
both and cheap to compute again. Behind a norm: what went into the norm, which autograd keeps anyway; only
A's gradient asks for the layer's input, and a norm's two factors can be put on its narrow sides instead.
"""

import types
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from stages.model.onednn import is_plain_product, multiply

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Source(NamedTuple):
    """What a layer multiplied, (..., in), as factors: x, times `scale` a row and `weight` a column if any."""

    x: torch.Tensor  # (..., in)
    scale: torch.Tensor | None = None  # (..., 1)
    weight: torch.Tensor | None = None  # (in,)

    def times(self, narrow: torch.Tensor) -> torch.Tensor:
        """narrow' (x scale weight), (r, in), for narrow (n, r)."""
        rows = self.x.reshape(-1, self.x.shape[-1])
        if self.scale is None or self.weight is None:
            return multiply(narrow.T, rows.T)
        return multiply((narrow * self.scale.view(-1, 1)).T, rows.T).mul_(self.weight)


class LoraLayer(NamedTuple):
    """x W' + bias + scaling x A' B', float32 on a CPU; only A and B are learned."""

    weight: torch.Tensor  # (out, in)
    bias: torch.Tensor | None  # (out,)
    a: torch.Tensor  # (r, in)
    b: torch.Tensor  # (out, r)
    scaling: float

    def run(self, x: torch.Tensor, source: Source | None = None) -> torch.Tensor:
        """The output (..., out) for x (..., in); `source`, what x is the product of, is kept in its place."""
        output: torch.Tensor = _Run.apply(x, source, *self)  # type: ignore[no-untyped-call]
        return output

    def run_gated(self, gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
        """The output for silu(gate) * up, (..., in) each."""
        output: torch.Tensor = _RunGated.apply(gate, up, *self)  # type: ignore[no-untyped-call]
        return output

    def outputs(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The output, and scaling x A' (n, r) for the way back."""
        narrow = multiply(x.reshape(-1, x.shape[-1]), self.a).mul_(self.scaling)
        output = multiply(x, self.weight, self.bias)
        output.view(-1, output.shape[-1]).addmm_(narrow, self.b.T)
        return output, narrow

    def parameter_gradients(
        self, grad: torch.Tensor, source: Source, narrow: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Those of A and of B, and that of x A' (n, r), from which follows what x gets."""
        flat = grad.reshape(-1, grad.shape[-1])
        grad_narrow = multiply(flat, self.b.T).mul_(self.scaling)
        return source.times(grad_narrow), multiply(narrow.T, flat.T).T, grad_narrow

    def input_gradient(self, grad: torch.Tensor, grad_narrow: torch.Tensor) -> torch.Tensor:
        """That of x, (..., in)."""
        grad_x = multiply(grad, self.weight.T)
        grad_x.view(-1, grad_x.shape[-1]).addmm_(grad_narrow, self.a)
        return grad_x


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, source: Source | None, *layer: Any) -> torch.Tensor:
        output, narrow = LoraLayer(*layer).outputs(x)
        ctx.save_for_backward(*(source or Source(x)), narrow, *layer[:4])
        ctx.scaling = layer[4]
        return output

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        *source, narrow, weight, bias, a, b = ctx.saved_tensors
        layer, grad = LoraLayer(weight, bias, a, b, ctx.scaling), grads[0].contiguous()
        grad_a, grad_b, grad_narrow = layer.parameter_gradients(grad, Source(*source), narrow)
        grad_x = layer.input_gradient(grad, grad_narrow) if ctx.needs_input_grad[0] else None
        return grad_x, None, None, None, grad_a, grad_b, None


class _RunGated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: torch.Tensor, up: torch.Tensor, *layer: Any) -> torch.Tensor:
        output, narrow = LoraLayer(*layer).outputs(torch.nn.functional.silu(gate).mul_(up))
        ctx.save_for_backward(gate, up, narrow, *layer[:4])
        ctx.scaling = layer[4]
        return output

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gate, up, narrow, weight, bias, a, b = ctx.saved_tensors
        layer, grad = LoraLayer(weight, bias, a, b, ctx.scaling), grads[0].contiguous()
        passed = torch.nn.functional.silu(gate)
        grad_a, grad_b, grad_narrow = layer.parameter_gradients(grad, Source(passed * up), narrow)
        grad_product = layer.input_gradient(grad, grad_narrow)
        grad_up = passed.mul_(grad_product)
        grad_gate = torch.ops.aten.silu_backward(grad_product.mul_(up), gate)
        return grad_gate, grad_up, None, None, grad_a, grad_b, None


PLAIN_LAYERS = {"Linear", "Linear4bit"}  # PEFT's LoRA over a dense layer, and over one of 4 bits


class _AddProduct(torch.autograd.Function):
    """result + scaling x A' B', in place: result (..., out), x (..., in), A (r, in), B (out, r).

    Flattening and casting happen in here, where autograd keeps no account of them.
    """

    @staticmethod
    def forward(
        ctx: Any, result: torch.Tensor, x: torch.Tensor, a: torch.Tensor, b: torch.Tensor, scaling: float
    ) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1]).to(result.dtype)
        a, b = a.to(result.dtype), b.to(result.dtype)
        narrow = (rows @ a.T).mul_(scaling)
        result.view(-1, result.shape[-1]).addmm_(narrow, b.T)
        ctx.save_for_backward(rows, a, b, narrow)
        ctx.scaling, ctx.x_shape = scaling, x.shape
        ctx.mark_dirty(result)
        return result

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, a, b, narrow = ctx.saved_tensors
        grad = grads[0].reshape(-1, grads[0].shape[-1])
        grad_narrow = (grad @ b).mul_(ctx.scaling)
        grad_x = (grad_narrow @ a).view(ctx.x_shape) if ctx.needs_input_grad[1] else None
        # autograd casts each to the dtype of what it is the gradient of
        return grads[0], grad_x, grad_narrow.T @ rows, grad.T @ narrow, None


def add_products_in_place(model: "PreTrainedModel", *, adapter: str = "default") -> int:
    """Patch every plain LoRA layer of `model`; returns how many were, 0 where there is no adapter.

    A layer with dropout, a bias of its own, or a variant such as DoRA keeps PEFT's way.
    """
    n_patched = 0
    for layer in model.modules():
        if type(layer).__name__ in PLAIN_LAYERS and _is_plain(layer, adapter):
            layer.adapter_in_place = adapter
            layer.forward = types.MethodType(_forward, layer)
            n_patched += 1
    return n_patched


def _is_plain(layer: Any, adapter: str) -> bool:
    return bool(
        adapter in getattr(layer, "lora_A", {})
        and adapter not in layer.lora_variant
        and isinstance(layer.lora_dropout[adapter], torch.nn.Identity)
        and layer.lora_B[adapter].bias is None
    )


def _forward(self: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    if args or kwargs or not _is_in_use(self):
        return type(self).forward(self, x, *args, **kwargs)
    layer = _whole(self, x)
    if layer is not None:
        return layer.run(x, getattr(x, "source", None))
    a, b, scaling = _product(self)
    return _AddProduct.apply(self.base_layer(x), x, a, b, scaling)  # type: ignore[no-untyped-call]


def _is_in_use(layer: Any) -> bool:
    """Is the adapter the one and only that counts, and not merged into the weights?

    Under ZeRO-3 a weight is whole only while its own module is called, which is not done here.
    """
    name = layer.adapter_in_place
    is_usual = not (layer.disable_adapters or layer.merged) and layer.active_adapters == [name]
    return is_usual and not hasattr(layer.lora_A[name].weight, "ds_id")


def _product(layer: Any) -> tuple[torch.Tensor, torch.Tensor, float]:
    name = layer.adapter_in_place
    return layer.lora_A[name].weight, layer.lora_B[name].weight, layer.scaling[name]


def whole_layer(layer: Any, x: torch.Tensor) -> LoraLayer | None:
    """What `layer` multiplies x with, where it is a patched one over a frozen float32 layer on a CPU."""
    return _whole(layer, x) if hasattr(layer, "adapter_in_place") and _is_in_use(layer) else None


def _whole(layer: Any, x: torch.Tensor) -> LoraLayer | None:
    base = layer.base_layer
    if not is_plain_product(base, x) or any(weight.requires_grad for weight in base.parameters()):
        return None
    a, b, scaling = _product(layer)
    is_plain = a.dtype == b.dtype == x.dtype
    return LoraLayer(base.weight, base.bias, a, b, scaling) if is_plain else None
