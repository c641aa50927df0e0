"""A dense layer and its LoRA in one step of autograd, on a CPU.

As two steps, the gradients that both have for what goes in are added in a pass of their own. Here the last
multiplication adds itself, and LoRA's narrow products go where the wide ones go (adapters/onednn.py).

It keeps less, too. Behind a gate: what the gate and its partner are, not their product, which is as wide as
both and cheap to compute again. Behind a norm: what went into the norm, which autograd keeps anyway; only
A's gradient asks for the layer's input, and a norm's two factors can be put on its narrow sides instead.
"""

from typing import Any, NamedTuple

import torch

from stages.adapters.onednn import multiply


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
