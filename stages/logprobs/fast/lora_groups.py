"""LoRA products of layers that read the same input, added to dense outputs: on a GPU, and in 16 bits.

One product with the A matrices of all of them, and weights that are cast once for each forward pass.
"""

from collections.abc import Sequence
from typing import Any

import torch

ADAPTER = "default"  # PEFT's name of the only adapter there is


class _Narrow(torch.autograd.Function):
    """x A' scaling for all layers of a group, in one product; a float32 adapter is cast to 16 bits."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, group: "InputGroup", *a_matrices: torch.Tensor) -> Any:
        stacked = group.stacked(a_matrices)
        rows = x.reshape(-1, x.shape[-1]).to(stacked.dtype)
        ctx.save_for_backward(rows, stacked)
        ctx.group, ctx.x_shape, ctx.dtype = group, x.shape, a_matrices[0].dtype
        narrow = torch.mm(rows, stacked.t()).mul_(group.scaling)
        return narrow if len(a_matrices) == 1 else torch.split(narrow, group.ranks, dim=1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, stacked = ctx.saved_tensors
        group: InputGroup = ctx.group
        grad = (grads[0] if len(grads) == 1 else torch.cat(grads, dim=1)).mul(group.scaling)
        grad_x = torch.mm(grad, stacked).view(ctx.x_shape) if ctx.needs_input_grad[0] else None
        # one cast, where autograd would cast each to the dtype of what it is the gradient of
        grad_a = torch.mm(grad.t(), rows).to(ctx.dtype)
        return grad_x, None, *(torch.split(grad_a, group.ranks) if len(grads) > 1 else (grad_a,))


class _AddProduct(torch.autograd.Function):
    """Adds a layer's narrow rows times B' to its dense output in place; `cast` is B in the output's dtype."""

    @staticmethod
    def forward(
        ctx: Any, output: torch.Tensor, narrow: torch.Tensor, _b: torch.Tensor, cast: torch.Tensor
    ) -> torch.Tensor:
        output.view(-1, output.shape[-1]).addmm_(narrow, cast.t())
        ctx.save_for_backward(narrow, cast)
        ctx.mark_dirty(output)
        return output

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        narrow, cast = ctx.saved_tensors
        grad = grads[0].reshape(-1, grads[0].shape[-1])
        return grads[0], torch.mm(grad, cast), torch.mm(grad.t(), narrow), None


class InputGroup:
    """LoRA layers that read the same input, one or some, with one scaling: q, k and v, or gate and up.

    The first that is called multiplies by all their A matrices; the others find their part if they come
    with the same input, unchanged since. Weights are cast once for each forward pass of the model.
    """

    def __init__(self, layers: list[Any]) -> None:
        self.layers = layers
        self.scaling: float = layers[0].scaling[ADAPTER]
        self.ranks = [len(layer.lora_A[ADAPTER].weight) for layer in layers]
        self.dtype = torch.float32
        self.forget()

    def forget(self) -> None:
        """Before a forward pass: the weights may have changed."""
        self.cast_a: torch.Tensor | None = None
        self.cast_b: dict[int, torch.Tensor] = {}
        self.parts: dict[int, torch.Tensor] = {}
        self.x: torch.Tensor | None = None
        self.version = 0

    def run(self, layer: Any, x: torch.Tensor) -> torch.Tensor:
        """The output of one of the layers."""
        output = layer.base_layer(x)
        if output.dtype != self.dtype:
            self.forget()
            self.dtype = output.dtype
        version = 0 if x.is_inference() else x._version
        if not (x is self.x and version == self.version and id(layer) in self.parts):
            matrices = [one.lora_A[ADAPTER].weight for one in self.layers]
            narrow: Any = _Narrow.apply(x, self, *matrices)  # type: ignore[no-untyped-call]
            parts = (narrow,) if len(matrices) == 1 else narrow
            self.parts = {id(one): part for one, part in zip(self.layers, parts, strict=True)}
            self.x, self.version = x, version
        part = self.parts.pop(id(layer))
        if not self.parts:
            self.x = None
        b = layer.lora_B[ADAPTER].weight
        if id(layer) not in self.cast_b:
            self.cast_b[id(layer)] = b.detach().to(output.dtype)
        added: torch.Tensor = _AddProduct.apply(output, part, b, self.cast_b[id(layer)])  # type: ignore[no-untyped-call]
        return added

    def stacked(self, a_matrices: Sequence[torch.Tensor]) -> torch.Tensor:
        """The A matrices, one above the other, in the dtype of the outputs."""
        if self.cast_a is None:
            all_rows = a_matrices[0] if len(a_matrices) == 1 else torch.cat(list(a_matrices))
            self.cast_a = all_rows.detach().to(self.dtype)
        return self.cast_a
