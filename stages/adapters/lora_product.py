"""LoRA's product, added where the layer's output already lies.

PEFT writes `result + B(A(x)) * scaling` with its casts in a dozen small steps a layer, some of them over
arrays as large as the layer's output, for a product that is a twentieth of its arithmetic. Here the last
multiplication adds itself to the output, and `scaling` is put on the narrow array of `r` columns between
A and B: the same sum, in half as many steps.
"""

import types
from typing import TYPE_CHECKING, Any

import torch

from stages.adapters.lora_layer import LoraLayer
from stages.adapters.onednn import is_plain_product

if TYPE_CHECKING:
    from transformers import PreTrainedModel

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
