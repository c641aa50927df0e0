"""An architecture is tried on the meta device, which holds no weights, before any is fetched or hashed."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from stages.errors import ModelError, first_line
from stages.model.adapters import lora_config, outside_of_text
from stages.model.checkpoint import auto_class, reading_checkpoint
from stages.run.params import RuntimeParams, TrainParams
from stages.run.progress import say

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

ALWAYS_THERE = ("sdpa", "eager")


def try_architecture(folder: Path, place: str, runtime: RuntimeParams, train: TrainParams) -> None:
    """ModelError where the attention or the LoRA that params.yaml asks for does not go with this model.

    Says which weights LoRA will adapt. `folder` needs no weights.
    """
    from transformers import AutoConfig

    with reading_checkpoint(f"{place}: config.json cannot be loaded"):
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    with reading_checkpoint(f"{place}: the model cannot be loaded"):
        model = build_with_attention(config, runtime.attn_implementation, place)
    if train.method != "full":
        say(f"base_model: {describe_adapter(model, train, place)}")


def build_with_attention(config: "PreTrainedConfig", attention: str, place: str) -> Any:
    """The model without weights; ModelError naming the attention that it has."""
    try:
        return build(config, attention)
    except (ValueError, ImportError) as error:
        has = [one for one in ALWAYS_THERE if one != attention and _can_build(config, one)]
        if not has:
            raise
        raise ModelError(
            f"{place}: {config.model_type} cannot run with attention {attention} ({first_line(error):.150}); "
            f"set runtime.attn_implementation to {' or '.join(has)}"
        ) from error


def build(config: "PreTrainedConfig", attention: str) -> Any:
    """The model on the meta device."""
    with torch.device("meta"):
        return auto_class(config).from_config(config, attn_implementation=attention, trust_remote_code=False)


def _can_build(config: "PreTrainedConfig", attention: str) -> bool:
    try:
        build(config, attention)
    except (ValueError, ImportError):
        return False
    return True


def describe_adapter(model: Any, train: TrainParams, place: str) -> str:
    """What LoRA adapts, in words; ModelError with the names to write where it cannot."""
    from peft import get_peft_model

    linear = sorted(
        {
            name.rpartition(".")[2]
            for name, layer in model.named_modules()
            if isinstance(layer, torch.nn.Linear) and layer is not model.get_output_embeddings()
        }
    )
    is_wrapper = outside_of_text(model) is not None
    experts = sorted(
        {name.rpartition(".")[2] for name, one in model.named_parameters() if is_expert(name, one)}
    )
    refuse_unknown_parameters(model, train.lora_target_parameters, place)
    try:
        adapted = get_peft_model(model, lora_config(train, model))
    except (ValueError, TypeError, RuntimeError) as error:
        fitting = [name for name in linear if f"'{name}'" not in str(error)]
        raise ModelError(
            f"{place}: LoRA cannot adapt this model as train.lora_target_modules "
            f"{train.lora_target_modules} asks ({first_line(error)[:200]}); set it to [{', '.join(fitting)}]"
        ) from error
    names = {
        name.split(".lora_A.")[0].removeprefix("base_model.model.")
        for name, _ in adapted.named_parameters()
        if ".lora_A." in name
    }
    kinds = sorted({name.removesuffix(".base_layer").rpartition(".")[2] for name in names})
    text = f"LoRA adapts {', '.join(kinds)} ({len(names)} weights)"
    if is_wrapper:
        text += " of the text part alone"
    if experts and not any("experts" in name for name in names):
        text += f"; not the experts ({', '.join(experts)}), which train.lora_target_parameters can name"
    return text


def refuse_unknown_parameters(model: Any, wanted: Sequence[str], place: str) -> None:
    """ModelError naming the experts' weights there are: PEFT adapts what it finds and leaves out the rest."""
    names = dict(model.named_parameters())
    for one in wanted:
        if not any(name == one or name.endswith(f".{one}") for name in names):
            experts = {
                re.sub(r".*\.\d+\.", "", name) for name, weight in names.items() if is_expert(name, weight)
            }
            raise ModelError(
                f"{place}: train.lora_target_parameters names {one}, and no weight's name ends so; the "
                f"experts of this model are {', '.join(sorted(experts)) or 'none: set it to []'}"
            )


def is_expert(name: str, weight: torch.Tensor) -> bool:
    """Are these the weights of several experts in one?"""
    return weight.dim() == 3 and "expert" in name
