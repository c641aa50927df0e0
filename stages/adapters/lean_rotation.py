"""Rotary positions (Su et al. 2021, RoFormer) in three passes over an array each way.

transformers turns the halves of every head, writes them side by side, multiplies both forms and adds them up:
five passes, and ten on the way back. Here the turned halves are added where the result already lies.
"""

import types
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable


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
