"""Every private operation of PyTorch that is used, looked up when it is wanted and never at import.

PyTorch promises nothing about these names. Where a build lacks one, `private_operation` says so once and
gives None, and the caller runs the plain way.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from stages.run.progress import say

FUSED_NORM = "aten._fused_rms_norm"
FLASH_ATTENTION = "aten._scaled_dot_product_flash_attention_for_cpu"
FLASH_ATTENTION_BACKWARD = "aten._scaled_dot_product_flash_attention_for_cpu_backward"
SILU_BACKWARD = "aten.silu_backward"
ONEDNN_LINEAR = "mkldnn._linear_pointwise"
# What runs the plain way without it.
USED_FOR = {
    FUSED_NORM: "norms in 16 bits and on a GPU",
    FLASH_ATTENTION: "all pairs of a batch in one row",
    FLASH_ATTENTION_BACKWARD: "all pairs of a batch in one row",
    SILU_BACKWARD: "gated MLPs",
    ONEDNN_LINEAR: "matrix products by oneDNN",
}


@cache
def private_operation(name: str) -> Callable[..., Any] | None:
    """The operation of this name (a key of `USED_FOR`), or None where this build has none."""
    namespace, operation = name.split(".")
    try:
        found: Callable[..., Any] = getattr(getattr(torch.ops, namespace), operation).default
    except AttributeError:
        say(f"PyTorch {torch.__version__} has no {name}: {USED_FOR[name]} run the plain way")
        return None
    return found
