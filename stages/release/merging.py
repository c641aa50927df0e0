"""The model that ships: the adapter merged into its base, and proof that it still is the judged one.

A 4-bit policy is merged into the base's weights as they come out of the 4 bits, not into the
original ones: the study judged the adapter on top of those. What is left of the difference is the
rounding of the merged weights to `runtime.dtype`, and is measured like any other.
"""

import gc
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from stages.errors import ModelError, RuntimeCheckError
from stages.files.pairs import PreferencePair
from stages.inference.generation.completions import Generation
from stages.inference.generation.sampling import generate_completions
from stages.model.checkpoint import ADAPTER_CONFIG, for_short_texts, load_model, load_tokenizer
from stages.model.manifest import MANIFEST
from stages.model.rendered import RenderedPair
from stages.model.rendering import render_pairs, render_prompt
from stages.model_sources.build import check_checkpoint
from stages.release.lineage import Parity, Regeneration
from stages.run.params import GenerateParams, RowsParams, RuntimeParams

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json")


def write_merged(base: Path, policy: Path, folder: Path, runtime: RuntimeParams) -> None:
    """Fill `folder` with weights, config, tokenizer and chat template of the model that ships.

    An adapter is merged; all weights of a full policy are copied byte for byte. The tokenizer's
    files are the base's, byte for byte. ModelError where the merged weights are not finite.
    """
    if (policy / ADAPTER_CONFIG).exists():
        _merge(base, policy, runtime).save_pretrained(folder)
    else:
        _copy(policy, folder, [name for pattern in WEIGHTS for name in policy.glob(pattern)])
    own = {MANIFEST, "config.json", "generation_config.json"}
    weights = {file for pattern in WEIGHTS for file in base.glob(pattern)}
    _copy(base, folder, [file for file in base.iterdir() if file not in weights and file.name not in own])
    check_checkpoint(folder, place=f"release of {policy}")


def shipped_runtime(runtime: RuntimeParams) -> RuntimeParams:
    """How the shipped model runs: as it was judged, but never in 4 bits."""
    return runtime.model_copy(update={"quantization": "none"})


def collect_logits(
    base: Path,
    policy: Path | None,
    runtime: RuntimeParams,
    limits: RowsParams,
    pairs: Sequence[PreferencePair],
) -> tuple[list[RenderedPair], list[torch.Tensor]]:
    """Rendered rows, and the float32 logits (tokens, V) of each prompt with its chosen completion.

    `policy` None reads `base` as a whole model, tokenizer included. The model is gone afterwards, so
    the judged and the shipped one never share the memory.
    """
    rows = render_pairs(load_tokenizer(base), pairs, max_length=limits.max_length, too_long=limits.too_long)
    model = load_model(base, policy, for_short_texts(runtime, stage="release"))
    logits = []
    with torch.inference_mode():
        for row in rows:
            ids = torch.tensor([[*row.prompt_ids, *row.chosen_ids]], device=model.device)
            logits.append(model(input_ids=ids).logits[0].float().cpu())
    del model
    release_memory()
    return rows, logits


def check_parity(
    judged: tuple[Sequence[RenderedPair], Sequence[torch.Tensor]],
    shipped: tuple[Sequence[RenderedPair], Sequence[torch.Tensor]],
    *,
    tolerance: float,
) -> Parity:
    """How far the logits moved; RuntimeCheckError where one moved further than `tolerance`."""
    if judged[0] != shipped[0]:
        raise RuntimeCheckError("release: the shipped tokenizer renders the pairs otherwise than the base's")
    moved = [(one - other).abs() for one, other in zip(judged[1], shipped[1], strict=True)]
    same = [one.argmax(-1) == other.argmax(-1) for one, other in zip(judged[1], shipped[1], strict=True)]
    parity = Parity(
        n_rows=len(moved),
        n_positions=sum(len(one) for one in moved),
        max_difference=_largest(moved),
        mean_difference=float(torch.cat([one.flatten() for one in moved]).mean()),
        same_top_token=float(torch.cat(same).float().mean()),
        tolerance=tolerance,
    )
    if not parity.max_difference <= tolerance:
        raise RuntimeCheckError(
            f"release: merging moved a logit by {parity.max_difference:.3g}, release.parity_tolerance allows "
            f"{tolerance:.3g}; the model that would ship is not the one that was judged"
        )
    return parity


def regenerate(
    folder: Path, judged: Sequence[Generation], settings: GenerateParams, runtime: RuntimeParams
) -> Regeneration:
    """Write the study's completions again with the shipped model; names the prompts where they differ."""
    tokenizer = load_tokenizer(folder)
    model = load_model(folder, None, for_short_texts(runtime, stage="release"))
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


def _merge(base: Path, policy: Path, runtime: RuntimeParams) -> "PreTrainedModel":
    try:
        merged: PreTrainedModel = _on_full_base(base, policy, runtime).merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise ModelError(f"{policy}: cannot be merged into {base} ({error})") from error
    return merged


def _on_full_base(base: Path, policy: Path, runtime: RuntimeParams) -> Any:
    if runtime.quantization == "none":
        return load_model(base, policy, runtime)
    from peft import PeftModel

    dequantized = load_model(base, None, runtime).dequantize(dtype=getattr(torch, runtime.dtype))
    return PeftModel.from_pretrained(dequantized, str(policy), local_files_only=True)


def _copy(source: Path, folder: Path, files: Sequence[Path]) -> None:
    for file in files:
        if file.is_file():
            shutil.copyfile(file, folder / file.relative_to(source))


def _largest(moved: Sequence[torch.Tensor]) -> float:
    largest = torch.stack([one.max() for one in moved]).max()
    if not torch.isfinite(largest):
        raise RuntimeCheckError("release: the merged model's logits are not finite")
    return float(largest)
