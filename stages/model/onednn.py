"""Float32 matrix products on a CPU by oneDNN, where PyTorch takes MKL and the processor is not Intel's.

MKL does not use all that processors of other makers than its own can do. oneDNN, which PyTorch brings along
and itself takes for 16 bits, makes its kernels for the processor at hand: docs/decisions/0010. PyTorch has no
public switch for it; the operation used here is the one that its compiler calls for a linear layer.
"""

import platform
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HAS_ONEDNN = (
    platform.machine() in {"x86_64", "AMD64"}
    and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
)


def is_intels(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Is the processor one of Intel's, by Linux's word? False where that is not there."""
    return cpuinfo.is_file() and "GenuineIntel" in cpuinfo.read_text(encoding="utf-8", errors="replace")


# By the maker and not by a measurement, so that a run and its continuation multiply alike.
IS_FASTER = HAS_ONEDNN and not (torch.backends.mkl.is_available() and is_intels())  # type: ignore[no-untyped-call]


def multiply(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """rows weight' + bias: rows (..., in), weight (out, in), bias (out,); not for autograd to look into.

    Either may be a transposed view. What is not float32 on a CPU, or faster by MKL, is left to PyTorch.
    """
    if not (IS_FASTER and _is_float32_on_cpu(rows, weight)):
        return torch.nn.functional.linear(rows, weight, bias)
    flat = rows.reshape(-1, rows.shape[-1]).contiguous()
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(flat, weight, bias, "none", [], "")
    return product.resize_(*rows.shape[:-1], len(weight))  # no view, so that others can add to it in place


class _Linear(torch.autograd.Function):
    """`multiply` with its gradients; rows are kept only for a weight that is learned."""

    @staticmethod
    def forward(
        ctx: Any, rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        ctx.save_for_backward(rows if ctx.needs_input_grad[1] else None, weight)
        return multiply(rows, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        grad = grads[0].contiguous()  # copied once at most, whatever is asked for
        flat = grad.view(-1, grad.shape[-1])
        grad_rows = multiply(grad, weight.T) if ctx.needs_input_grad[0] else None
        grad_weight = flat.T @ rows.reshape(-1, rows.shape[-1]) if ctx.needs_input_grad[1] else None
        return grad_rows, grad_weight, flat.sum(dim=0) if ctx.needs_input_grad[2] else None


def use_onednn(model: "PreTrainedModel") -> int:
    """Patch the dense layers of `model`, its LM head too, where oneDNN is faster; returns how many were."""
    layers = [layer for layer in model.modules() if type(layer) is torch.nn.Linear] if IS_FASTER else []
    for layer in layers:
        layer.forward = types.MethodType(_forward, layer)  # type: ignore[method-assign]
    return len(layers)


def is_plain_product(layer: torch.nn.Module, x: torch.Tensor) -> bool:
    """Is what `layer` does with `x` a float32 product on a CPU and nothing else: `multiply`?"""
    own_forward = layer.__dict__.get("forward")
    return (
        type(layer) is torch.nn.Linear
        and (own_forward is None or getattr(own_forward, "__func__", None) is _forward)
        and _is_float32_on_cpu(x, layer.weight)
        and not torch.is_autocast_enabled("cpu")
    )


def _forward(self: torch.nn.Linear, x: torch.Tensor) -> Any:
    if not is_plain_product(self, x):
        return torch.nn.functional.linear(x, self.weight, self.bias)
    return _Linear.apply(x, self.weight, self.bias)  # type: ignore[no-untyped-call]


def _is_float32_on_cpu(rows: torch.Tensor, weight: torch.Tensor) -> bool:
    return rows.device.type == "cpu" and rows.dtype == weight.dtype == torch.float32
