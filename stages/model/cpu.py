"""A model on a CPU: float32 matrix products by oneDNN where that is faster, and freed memory that is kept.

PyTorch multiplies float32 with MKL, whose kernels are slow on processors that are not Intel's. oneDNN comes
with PyTorch and is the faster one there: docs/decisions/0010.
"""

import ctypes
import platform
import types
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from stages.model.private_operations import ONEDNN_LINEAR, private_operation
from stages.model.processor import is_intels

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Of glibc's <malloc.h>.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
NEVER = -1


def keep_freed_memory() -> bool:
    """Have this process reuse the large arrays that it frees; False where the C library is not glibc.

    By default glibc returns them to the system, which clears and maps every page anew at the next step:
    docs/decisions/0009. The process keeps its peak of memory to its end.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(mallopt and mallopt(M_MMAP_THRESHOLD, 2**30) and mallopt(M_TRIM_THRESHOLD, NEVER))


@cache
def onednn_linear() -> Callable[..., Any] | None:
    """oneDNN's linear layer where it is faster than PyTorch's own, else None.

    The processor's maker decides and not a measurement, so that a resumed run multiplies as it began.
    """
    is_x86 = platform.machine() in {"x86_64", "AMD64"}
    if not is_x86 or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return None
    if torch.backends.mkl.is_available() and is_intels():  # type: ignore[no-untyped-call]
        return None
    return private_operation(ONEDNN_LINEAR)


def multiply(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """rows weight' + bias, without a gradient by oneDNN: rows (..., in), weight (out, in), bias (out,).

    Either may be a transposed view. Anything but float32 on a CPU is left to PyTorch.
    """
    linear = onednn_linear()
    if linear is None or not _is_float32_on_cpu(rows, weight):
        return torch.nn.functional.linear(rows, weight, bias)
    flat = rows.reshape(-1, rows.shape[-1]).contiguous()
    product: torch.Tensor = linear(flat, weight, bias, "none", [], "")
    return product.resize_(*rows.shape[:-1], len(weight))  # no view, so that it can be added to in place


class _Linear(torch.autograd.Function):
    """`multiply` with its gradients; rows are saved for backward only where the weight is trained."""

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
    """Patch the dense layers of `model`, its LM head too, where oneDNN is faster; returns how many."""
    if onednn_linear() is None:
        return 0
    layers = [layer for layer in model.modules() if type(layer) is torch.nn.Linear]
    for layer in layers:
        layer.forward = types.MethodType(_forward, layer)  # type: ignore[method-assign]
    return len(layers)


def is_plain_product(layer: torch.nn.Module, x: torch.Tensor) -> bool:
    """Does `layer` compute a float32 product on a CPU and nothing else, as `multiply` would?"""
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
