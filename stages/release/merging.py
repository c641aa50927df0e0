"""The model that ships: the adapter merged into its base, or the adapter alone.

A 4-bit policy is merged into the base's weights as they come out of the 4 bits, not into the
original ones: the study judged the adapter on top of those.
"""

import gc
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from stages.errors import ModelError
from stages.files.io import read_json, read_record, write_json
from stages.inference.generation.completions import Generation
from stages.inference.generation.sampling import generate_completions
from stages.model.checkpoint import (
    ADAPTER_CONFIG,
    for_short_texts,
    load_model,
    load_tokenizer,
    read_rendering,
)
from stages.model.manifest import MANIFEST, BaseManifest, Rendering
from stages.model.rendering import render_prompt
from stages.model_sources.build import check_checkpoint
from stages.release.lineage import Form, Regeneration
from stages.run.params import GenerateParams, RuntimeParams

WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json")


class Shipped(NamedTuple):
    """How the model that ships is loaded: `load_model(base, policy, runtime)`."""

    base: Path
    policy: Path | None
    runtime: RuntimeParams


def write_shipped(base: Path, policy: Path, folder: Path, runtime: RuntimeParams, *, form: Form) -> Shipped:
    """Fill `folder` with weights, config, tokenizer and chat template of the model that ships.

    All weights of a full policy are copied byte for byte, and so is an adapter that ships alone. The
    tokenizer's files are the base's. ModelError where the form does not fit the policy, or merged weights
    are not finite.
    """
    has_adapter = (policy / ADAPTER_CONFIG).exists()
    if not has_adapter and form != "merged":
        raise ModelError(
            f"release.form: {form} is for adapters, and all weights of {policy} were trained; "
            "set it to merged"
        )
    weights = {file for pattern in WEIGHTS for file in base.glob(pattern)}
    own = {MANIFEST, "config.json", "generation_config.json"}
    if form == "adapter":
        _copy(policy, folder, list(policy.iterdir()))
        _name_base(folder / ADAPTER_CONFIG, read_record(base / MANIFEST, BaseManifest))
        own |= {file.name for file in policy.iterdir()}
    elif has_adapter:
        merge(base, policy, runtime, dtype=shipped_dtype(runtime, form)).save_pretrained(folder)
    else:
        _copy(policy, folder, [name for pattern in WEIGHTS for name in policy.glob(pattern)])
    _copy(base, folder, [file for file in base.iterdir() if file not in weights and file.name not in own])
    release_memory()
    if form == "adapter":
        return Shipped(base, folder, runtime)
    check_checkpoint(folder, place=f"release of {policy}", rendering=read_rendering(base))
    plain = {"quantization": "none", "dtype": shipped_dtype(runtime, form)}
    return Shipped(folder, None, runtime.model_copy(update=plain))


def shipped_dtype(runtime: RuntimeParams, form: Form) -> str:
    """The dtype of the weights that ship."""
    return "float32" if form == "merged_float32" else runtime.dtype


def merge(base: Path, policy: Path, runtime: RuntimeParams, *, dtype: str) -> Any:
    """The base with the adapter added to it: each sum is made in float32 and rounded to `dtype` once.

    ModelError where a sum is not finite.
    """
    from peft.tuners.lora import LoraLayer

    model = on_full_base(base, policy, runtime)
    try:
        for layer in [one for one in model.modules() if isinstance(one, LoraLayer)]:
            layer.get_base_layer().float()
            layer.merge(safe_merge=True)
            layer.get_base_layer().to(getattr(torch, dtype))
    except ValueError as error:
        raise ModelError(f"{policy}: cannot be merged into {base} ({error})") from error
    return model.unload().to(getattr(torch, dtype))


def on_full_base(base: Path, policy: Path, runtime: RuntimeParams) -> Any:
    """The judged policy; over a 4-bit base, over what comes out of the 4 bits."""
    if runtime.quantization == "none":
        return load_model(base, policy, runtime)
    from peft import PeftModel

    dequantized = load_model(base, None, runtime).dequantize(dtype=getattr(torch, runtime.dtype))
    return PeftModel.from_pretrained(dequantized, str(policy), local_files_only=True)


def regenerate(
    shipped: Shipped, judged: Sequence[Generation], settings: GenerateParams, rendering: Rendering
) -> Regeneration:
    """Write the study's completions again with the shipped model; names the prompts where they differ."""
    tokenizer = load_tokenizer(shipped.base, rendering=rendering)
    model = load_model(shipped.base, shipped.policy, for_short_texts(shipped.runtime, stage="release"))
    again = generate_completions(
        model,
        tokenizer,
        [render_prompt(tokenizer, row.prompt) for row in judged],
        [row.seed for row in judged],
        max_new_tokens=settings.max_new_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        batch_size=settings.batch_size,
        label="release, the study's completions again",
    )
    different = [
        row.prompt_id for row, new in zip(judged, again, strict=True) if row.raw_completion != new.text
    ]
    del model
    release_memory()
    return Regeneration(n_prompts=len(judged), different=different)


def release_memory() -> None:
    """Give freed weights back before the next model is loaded."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _name_base(config_file: Path, base: BaseManifest) -> None:
    """PEFT's config names the base as who downloads the adapter can find it."""
    revision = base.revision if base.source == "hub" else None
    named = {"base_model_name_or_path": base.name, "revision": revision}
    write_json(config_file, read_json(config_file) | named)


def _copy(source: Path, folder: Path, files: Sequence[Path]) -> None:
    for file in files:
        if file.is_file():
            shutil.copyfile(file, folder / file.relative_to(source))
