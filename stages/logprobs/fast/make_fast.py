"""The one call by which scoring and training make a model fast."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from stages.logprobs.fast.layers import patch_layers
from stages.logprobs.fast.lora import patch_lora
from stages.logprobs.shared_prefix import add_shared_prefix

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def make_fast(model: "PreTrainedModel", *, outputs: Collection[str]) -> bool:
    """Patch a base or adapter model, after TRL's `add_fused_lm_head` with the same `outputs`.

    Fused calls run shared rows, LoRA layers and known norms and MLPs run in fewer operations. Log-probs and
    gradients stay those of TRL, PEFT and transformers within rounding. What a model or this build of PyTorch
    cannot do runs the plain way. docs/training.md lists each fast path with what it gains. Returns whether
    rows are shared.
    """
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    shares_rows = add_shared_prefix(inner, outputs=outputs)
    patch_lora(model)
    patch_layers(model)
    return shares_rows
