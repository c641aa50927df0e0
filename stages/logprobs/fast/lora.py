"""LoRA layers in fewer operations, with fewer arrays saved for backward.

Over a frozen float32 layer on a CPU the dense product and LoRA's are one autograd function: the sum of their
input gradients costs no pass of its own, and a gated input `silu(gate) * up` is recomputed instead of saved.
Elsewhere LoRA's product is added to the dense layer's output in place.
"""

import types
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from stages.logprobs.fast.lora_groups import ADAPTER, InputGroup
from stages.model.cpu import is_plain_product, multiply
from stages.model.private_operations import SILU_BACKWARD, private_operation

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PLAIN_LAYERS = {"Linear", "Linear4bit"}  # PEFT's LoRA over a dense layer, and over one of 4 bits


class LoraLayer(NamedTuple):
    """x W' + bias + scaling x A' B', float32 on a CPU; only A and B are trained."""

    weight: torch.Tensor  # (out, in)
    bias: torch.Tensor | None  # (out,)
    a: torch.Tensor  # (r, in)
    b: torch.Tensor  # (out, r)
    scaling: float

    def run(self, x: torch.Tensor, up: torch.Tensor | None = None) -> torch.Tensor:
        """The output (..., out) for x (..., in), or for silu(x) * up where `up` is given."""
        output: torch.Tensor = _Run.apply(x, up, *self)  # type: ignore[no-untyped-call]
        return output


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, up: torch.Tensor | None, *values: Any) -> torch.Tensor:
        layer = LoraLayer(*values)
        rows = x if up is None else torch.nn.functional.silu(x).mul_(up)
        narrow = multiply(rows.reshape(-1, rows.shape[-1]), layer.a).mul_(layer.scaling)
        output = multiply(rows, layer.weight, layer.bias)
        output.view(-1, output.shape[-1]).addmm_(narrow, layer.b.T)
        ctx.save_for_backward(x, up, narrow, layer.weight, layer.a, layer.b)
        ctx.scaling = layer.scaling
        return output

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, up, narrow, weight, a, b = ctx.saved_tensors
        grad = grads[0].contiguous()
        flat = grad.view(-1, grad.shape[-1])
        passed = None if up is None else torch.nn.functional.silu(x)
        rows = x if passed is None else passed * up
        grad_narrow = multiply(flat, b.T).mul_(ctx.scaling)
        grad_a = multiply(grad_narrow.T, rows.reshape(-1, rows.shape[-1]).T)
        grad_b = multiply(narrow.T, flat.T).T
        del rows
        grad_x = grad_up = None
        if ctx.needs_input_grad[0] or up is not None:
            grad_x = multiply(grad, weight.T)
            grad_x.view(-1, grad_x.shape[-1]).addmm_(grad_narrow, a)
        if passed is not None:
            grad_x, grad_up = gate_gradients(grad_x, x, up, passed)
        return grad_x, grad_up, None, None, grad_a, grad_b, None


def gate_gradients(
    grad: Any, gate: torch.Tensor, up: torch.Tensor, passed: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of gate and up of silu(gate) * up; `passed`, which is silu(gate), is overwritten."""
    silu_backward: Any = private_operation(SILU_BACKWARD)  # layers.py patches no gate without it
    return silu_backward(grad * up, gate), passed.mul_(grad)


# Layers of one module that read the same input, in transformers' names.
SAME_INPUT = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))


def patch_lora(model: "PreTrainedModel") -> int:
    """Patch plain LoRA layers in place; returns how many. Without an adapter there are none.

    A layer with dropout, a trained bias of LoRA's, or a variant such as DoRA keeps PEFT's forward.
    """
    layers = [layer for layer in model.modules() if type(layer).__name__ in PLAIN_LAYERS and _is_plain(layer)]
    groups = _group(model, layers)

    def forget(*_: Any) -> None:
        for group in groups:
            group.forget()

    for group in groups:
        for layer in group.layers:
            layer.input_group = group
            layer.forward = types.MethodType(_forward, layer)
    if groups:
        inner: Any = model.get_base_model() if hasattr(model, "peft_config") else model
        inner.base_model.register_forward_pre_hook(forget)
    return len(layers)


def _group(model: "PreTrainedModel", layers: list[Any]) -> list[InputGroup]:
    """Each layer in one group."""
    alone = {id(layer): layer for layer in layers}
    groups = []
    for module in model.modules():
        for names in SAME_INPUT:
            found: list[Any] = [getattr(module, name, None) for name in names]
            scalings = {one.scaling[ADAPTER] for one in found if id(one) in alone}
            if all(id(one) in alone for one in found) and len(scalings) == 1:
                groups.append(InputGroup([alone.pop(id(one)) for one in found]))
    return [*groups, *(InputGroup([layer]) for layer in alone.values())]


def _is_plain(layer: Any) -> bool:
    return bool(
        ADAPTER in getattr(layer, "lora_A", {})
        and ADAPTER not in layer.lora_variant
        and isinstance(layer.lora_dropout[ADAPTER], torch.nn.Identity)
        and layer.lora_B[ADAPTER].bias is None
    )


def _forward(self: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    if args or kwargs or not _is_in_use(self):
        return type(self).forward(self, x, *args, **kwargs)
    layer = _whole(self, x)
    if layer is not None:
        return layer.run(x)
    return self.input_group.run(self, x)


def _is_in_use(layer: Any) -> bool:
    """Is the adapter the only active one, and not merged into the weights?

    ZeRO-3 gathers a weight only while its own module is called, which is not done here.
    """
    is_usual = not (layer.disable_adapters or layer.merged) and layer.active_adapters == [ADAPTER]
    return is_usual and not hasattr(layer.lora_A[ADAPTER].weight, "ds_id")


def _product(layer: Any) -> tuple[torch.Tensor, torch.Tensor, float]:
    return layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight, layer.scaling[ADAPTER]


def whole_layer(layer: Any, x: torch.Tensor) -> LoraLayer | None:
    """`layer` as one function, where it is a patched one over a frozen float32 layer on a CPU."""
    is_patched = getattr(vars(layer).get("forward"), "__func__", None) is _forward
    return _whole(layer, x) if is_patched and _is_in_use(layer) else None


def _whole(layer: Any, x: torch.Tensor) -> LoraLayer | None:
    base = layer.base_layer
    if not is_plain_product(base, x) or any(weight.requires_grad for weight in base.parameters()):
        return None
    a, b, scaling = _product(layer)
    return LoraLayer(base.weight, base.bias, a, b, scaling) if a.dtype == b.dtype == x.dtype else None
