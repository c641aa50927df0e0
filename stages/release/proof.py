"""Proof that what ships is what was judged: on the weights, tensor by tensor, and in what the models say.

With W the base's weight as it was judged and D = scaling x B A what the adapter adds, both in float32, a
right merge ships W + D rounded to the dtype. Logits cannot prove that: in 16 bits a right merge moves some
of them far, and a wrong one may move none of a few rows. D is computed here from the adapter's file, not by
PEFT, which merged it.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file

from stages.errors import ModelError, RuntimeCheckError
from stages.files.io import read_json, sha256_file
from stages.files.numbers import percent
from stages.files.pairs import PreferencePair
from stages.model.checkpoint import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    for_short_texts,
    load_model,
    load_tokenizer,
)
from stages.model.manifest import Rendering
from stages.model.rendered import RenderedPair
from stages.model.rendering import render_pairs
from stages.release.lineage import Drift, MergeProof
from stages.release.merging import WEIGHTS, Shipped, release_memory
from stages.run.params import RowsParams, RuntimeParams

SLOPE_MARGIN = 0.01  # of a merge, beside four standard errors of the rounding
N_STANDARD_ERRORS = 4.0
SHIPPED_PREFIX = "base_model.model."  # of every name in an adapter's file


class Update(NamedTuple):
    """What the adapter adds to one weight: D, and how far float32 may have put each element off."""

    delta: torch.Tensor
    rounding: torch.Tensor


class Slope(NamedTuple):
    """How much of D one weight took up: <W_shipped - W, D> / <D, D>.

    `kept` is what a right merge keeps in this dtype, `margin` four standard errors of the rounding.
    """

    name: str
    taken: float
    kept: float
    margin: float
    weight: float  # <D, D>


def prove_shipped(base: Path, policy: Path, shipped: Shipped, runtime: RuntimeParams) -> MergeProof:
    """The proof for what `write_shipped` wrote, read from its files; RuntimeCheckError where it fails."""
    if shipped.policy is not None or not (policy / ADAPTER_CONFIG).exists():
        names = [ADAPTER_WEIGHTS] if shipped.policy else [file.name for file in policy.glob(WEIGHTS[0])]
        refuse_other_bytes(policy, shipped.policy or shipped.base, names)
        return MergeProof(n_modules=0, slope=1.0, slope_low=1.0, slope_high=1.0)
    updates = read_updates(policy)
    before = weights_of(base, runtime)
    after = weights_of(shipped.base, shipped.runtime)
    return prove_merge(before, after, updates)


def refuse_other_bytes(policy: Path, folder: Path, names: Sequence[str]) -> None:
    """RuntimeCheckError where a file of weights is not the judged one."""
    for name in names:
        if sha256_file(policy / name) != sha256_file(folder / name):
            raise RuntimeCheckError(f"release: {name} is not that of {policy}; release again")


def weights_of(folder: Path, runtime: RuntimeParams) -> dict[str, torch.Tensor]:
    """Every tensor of a checkpoint by its name in the loaded model, on the CPU, as it is used."""
    model = load_model(folder, None, runtime)
    if runtime.quantization != "none":
        model = model.dequantize(dtype=getattr(torch, runtime.dtype))
    weights = {name: weight.detach().cpu() for name, weight in model.state_dict().items()}
    del model
    release_memory()
    return weights


def read_updates(policy: Path) -> dict[str, Update]:
    """D of every adapted weight, by the weight's name in the base, from the adapter's own files."""
    config = read_json(policy / ADAPTER_CONFIG)
    if config.get("target_parameters"):
        raise ModelError(
            f"{policy}: LoRA is on experts, too ({', '.join(config['target_parameters'])}), and merging "
            "those is not proven; set release.form to adapter"
        )
    tensors = load_file(policy / ADAPTER_WEIGHTS)
    root = math.sqrt(config["r"]) if config.get("use_rslora") else config["r"]
    scaling = config["lora_alpha"] / root
    updates = {}
    for name, a in tensors.items():
        module = name.removeprefix(SHIPPED_PREFIX).removesuffix(".lora_A.weight")
        b = tensors.get(name.replace(".lora_A.", ".lora_B."))
        if name.endswith(".lora_B.weight"):
            continue
        if not name.endswith(".lora_A.weight") or b is None or ".base_layer" in name or a.dim() != 2:
            raise ModelError(
                f"{policy / ADAPTER_WEIGHTS}: {name} is no LoRA of a linear layer, and merging others is not "
                "proven; set release.form to adapter"
            )
        a, b = a.float(), b.float()
        delta, size = scaling * (b @ a), scaling * (b.abs() @ a.abs())
        if config.get("fan_in_fan_out"):
            delta, size = delta.T, size.T
        # a sum of r products in float32, in whatever order (Higham, Accuracy and Stability, 3.1)
        updates[f"{module}.weight"] = Update(delta, size * len(a) * torch.finfo(torch.float32).eps)
    return updates


def prove_merge(
    before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor], updates: Mapping[str, Update]
) -> MergeProof:
    """The rules of a right merge; RuntimeCheckError names the first weight that breaks one.

    Tensors without an adapter are the base's byte for byte. Each element of an adapted one lies within one
    unit in the last place of W + D rounded; each slope is the one that rounding leaves, and 1, within
    `SLOPE_MARGIN` plus four standard errors. All weights together must hold the same.
    """
    if set(before) != set(after) or not set(updates) <= set(before):
        odd = sorted({*(set(before) ^ set(after)), *(set(updates) - set(before))})
        raise RuntimeCheckError(f"release: base, adapter and shipped model differ in tensors: {odd[:3]}")
    for name in before.keys() - updates.keys():
        same_dtype = before[name].to(after[name].dtype)
        if not torch.equal(same_dtype, after[name]):
            raise RuntimeCheckError(
                f"release: {name} is not the base's, and the adapter does not touch it; the model that would "
                "ship is not the one that was judged"
            )
    slopes = [
        slope
        for name, update in sorted(updates.items())
        if (slope := measure_slope(name, before[name], after[name], update)) is not None
    ]
    if not slopes:
        return MergeProof(n_modules=0, slope=1.0, slope_low=1.0, slope_high=1.0)
    together = pool(slopes)
    for slope in (*slopes, together):
        refuse_wrong(slope)
    for slope in (together, *slopes):
        refuse_rounded_away(slope, dtype=next(iter(after.values())).dtype)
    taken = [slope.taken for slope in slopes]
    return MergeProof(
        n_modules=len(slopes), slope=together.taken, slope_low=min(taken), slope_high=max(taken)
    )


def measure_slope(name: str, before: torch.Tensor, after: torch.Tensor, update: Update) -> Slope | None:
    """The slope of one weight, after its elements were looked at; None where D is zero."""
    base, ships = before.float(), after.float()
    delta = update.delta
    right = (base + delta).to(after.dtype).float()
    unit = last_place(right, after.dtype)
    off = (ships - right).abs() - unit - update.rounding
    if not bool((off <= 0).all()):
        raise RuntimeCheckError(
            f"release: {int((off > 0).sum())} of {off.numel()} elements of {name} are not base + adapter, to "
            "one unit in the last place; the model that would ship is not the one that was judged"
        )
    squares = float((delta.double() ** 2).sum())
    if squares == 0:
        return None
    variance = float((unit.double() ** 2 / 12 * delta.double() ** 2).sum())
    return Slope(
        name,
        taken=float(((ships - base).double() * delta.double()).sum()) / squares,
        kept=float(((right - base).double() * delta.double()).sum()) / squares,
        margin=N_STANDARD_ERRORS * math.sqrt(variance) / squares,
        weight=squares,
    )


def last_place(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """One unit in the last place of each float32 value in `dtype`."""
    limits = torch.finfo(dtype)
    exponents = torch.frexp(values.abs())[1] - 1
    units = torch.ldexp(torch.full_like(values, limits.eps), exponents)
    smallest = limits.smallest_normal * limits.eps
    return torch.where(values == 0, smallest, units.clamp_min(smallest))


def pool(slopes: Sequence[Slope]) -> Slope:
    """All weights as one."""
    total = sum(one.weight for one in slopes)
    shares = [one.weight / total for one in slopes]
    return Slope(
        "all weights together",
        taken=sum(share * one.taken for share, one in zip(shares, slopes, strict=True)),
        kept=sum(share * one.kept for share, one in zip(shares, slopes, strict=True)),
        margin=math.hypot(*(share * one.margin for share, one in zip(shares, slopes, strict=True))),
        weight=total,
    )


def refuse_wrong(slope: Slope) -> None:
    """RuntimeCheckError where a weight took up more or less of the adapter than rounding explains."""
    if abs(slope.taken - slope.kept) > SLOPE_MARGIN + slope.margin:
        raise RuntimeCheckError(
            f"release: {slope.name} took up {slope.taken:.3f} of the adapter, a right merge takes up "
            f"{slope.kept:.3f}; the model that would ship is not the one that was judged"
        )


def refuse_rounded_away(slope: Slope, *, dtype: torch.dtype) -> None:
    """RuntimeCheckError where the dtype itself does not hold what was learned."""
    if abs(slope.taken - 1) > SLOPE_MARGIN + slope.margin:
        raise RuntimeCheckError(
            f"release: rounding to {str(dtype).removeprefix('torch.')} keeps {percent(slope.taken)} of "
            f"what the adapter adds ({slope.name}): what would ship is not what was judged. Set release.form "
            "to merged_float32, or to adapter, which ships the adapter and names its base"
        )


Answers = tuple[list[RenderedPair], list[torch.Tensor]]


def collect_logits(
    base: Path,
    policy: Path | None,
    runtime: RuntimeParams,
    limits: RowsParams,
    pairs: Sequence[PreferencePair],
    rendering: Rendering,
) -> Answers:
    """Rendered rows, and the float32 logits (tokens, V) that predict each chosen completion.

    `policy` None reads `base` as a whole model, tokenizer included. The model is gone afterwards, so
    no two ever share the memory.
    """
    tokenizer = load_tokenizer(base, rendering=rendering)
    rows = render_pairs(tokenizer, pairs, max_length=limits.max_length, too_long=limits.too_long)
    model: Any = load_model(base, policy, for_short_texts(runtime, stage="release"))
    logits = []
    with torch.inference_mode():
        for row in rows:
            ids = torch.tensor([[*row.prompt_ids, *row.chosen_ids]], device=model.device)
            every: torch.Tensor = model(input_ids=ids).logits[0, len(row.prompt_ids) - 1 : -1]
            logits.append(every.float().cpu())
    del model
    release_memory()
    return rows, logits


def measure_drift(judged: Answers, shipped: Answers, base: Answers) -> Drift:
    """How far the shipped model's next-token distributions lie from the judged one's, and the base's.

    RuntimeCheckError where a logit is not finite or the shipped tokenizer renders otherwise.
    """
    if judged[0] != shipped[0]:
        raise RuntimeCheckError("release: the shipped tokenizer renders the pairs otherwise than the base's")
    ours, theirs, first = (torch.cat(answers[1]) for answers in (judged, shipped, base))
    if not bool(theirs.isfinite().all()):
        raise RuntimeCheckError("release: the shipped model's logits are not finite; nothing is released")
    return Drift(
        n_rows=len(judged[0]),
        n_positions=len(ours),
        kl=mean_kl(ours, theirs),
        kl_from_base=mean_kl(ours, first),
        same_top_token=float((ours.argmax(-1) == theirs.argmax(-1)).float().mean()),
        mean_logit_difference=float((ours - theirs).abs().mean()),
    )


def mean_kl(of: torch.Tensor, against: torch.Tensor) -> float:
    """Mean over positions of KL(of || against) in nats; both are logits (positions, V)."""
    of, against = torch.log_softmax(of, -1), torch.log_softmax(against, -1)
    return max(0.0, float(torch.nn.functional.kl_div(against, of, reduction="batchmean", log_target=True)))
