"""PEFT's LoRA settings for a model: on its text part, whatever else it wraps."""

import re
from typing import TYPE_CHECKING, Any

from stages.run.params import TrainParams

if TYPE_CHECKING:
    from peft import LoraConfig


def lora_config(train: TrainParams, model: Any = None) -> "LoraConfig":
    """LoRA as `train` asks for it; `model` keeps it off what is not text, such as a vision tower."""
    from peft import LoraConfig

    return LoraConfig(
        **settings_of(LoraConfig, train),
        r=train.lora_r,
        target_modules=train.lora_target_modules,
        target_parameters=train.lora_target_parameters or None,
        exclude_modules=None if model is None else outside_of_text(model),
        task_type="CAUSAL_LM",
    )


def settings_of(config: Any, train: TrainParams) -> dict[str, Any]:
    """The keys of `train` that a library's config has under the same name, but for those that are null."""
    return train.model_dump(include=set(config.__dataclass_fields__), exclude_none=True)


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
