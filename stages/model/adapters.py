"""PEFT's LoRA settings for a model: on its text part, whatever else it wraps."""

import re
from typing import TYPE_CHECKING, Any

from stages.run.params import TrainParams

if TYPE_CHECKING:
    from peft import LoraConfig


def lora_config(train: TrainParams, model: Any = None) -> "LoraConfig":
    """LoRA as `train` asks for it; `model` keeps it off what it does not go on, such as a vision tower."""
    from peft import LoraConfig

    return LoraConfig(
        **settings_of(LoraConfig, train),
        r=train.lora_r,
        target_modules=train.lora_target_modules,
        target_parameters=train.lora_target_parameters or None,
        exclude_modules=None if model is None else never_adapted(model),
        task_type="CAUSAL_LM",
    )


def settings_of(config: Any, train: TrainParams) -> dict[str, Any]:
    """The keys of `train` that a library's config has under the same name, but for those that are null."""
    return train.model_dump(include=set(config.__dataclass_fields__), exclude_none=True)


def never_adapted(model: Any) -> str | None:
    """A pattern of what LoRA stays off: all but the text, and routers that answer with more than numbers."""
    import torch

    routers = {
        re.escape(name.rpartition(".")[2])
        for name, one in model.named_modules()
        if isinstance(one, torch.nn.Linear)
        and type(one).__module__.startswith("transformers.models")
        and type(one).forward is not torch.nn.Linear.forward
    }
    patterns = [outside_of_text(model), *(rf"(?:.*\.)?{name}" for name in sorted(routers))]
    return "|".join(filter(None, patterns)) or None


def outside_of_text(model: Any) -> str | None:
    """A pattern of the modules outside of a wrapper's language model; None where nothing is wrapped.

    Under DDP a weight that no text passes through would be waited for in vain.
    """
    if (
        getattr(model.config, "vision_config", None) is None
        and getattr(model.config, "audio_config", None) is None
    ):
        return None
    decoder = model.get_decoder()
    name = next((name for name, module in model.named_modules() if module is decoder), "")
    return rf"(?!{re.escape(name)}\.).*" if name else None
