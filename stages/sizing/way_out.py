"""What will not fit, and which parameter to change so that it does."""

from collections.abc import Iterator
from typing import NamedTuple

from stages.sizing.estimates import StageEstimate, estimate_stages
from stages.sizing.memory import Lengths, Machine, Plan, stored_bytes
from stages.sizing.shape import ModelShape

HEADROOM = 0.92  # of the memory: allocators leave gaps, and lengths are estimated
GIB = 2**30


class Finding(NamedTuple):
    """Something that stops a run, where, and the way out."""

    place: str
    problem: str
    way_out: str


class Change(NamedTuple):
    """A plan that differs in one or two parameters, and the words for it."""

    plan: Plan
    words: str


def find_misfits(plan: Plan, shape: ModelShape, lengths: Lengths, machine: Machine) -> list[Finding]:
    """A finding for each stage whose peak is above the memory there is."""
    limit = HEADROOM * machine.memory_bytes
    return [
        Finding(
            one.stage,
            f"takes about {one.memory_bytes / GIB:.1f} GiB, {machine.memory_bytes / GIB:.1f} GiB are there",
            way_out(one, plan, shape, lengths, machine),
        )
        for one in estimate_stages(plan, shape, lengths, machine)
        if one.memory_bytes > limit
    ]


def way_out(misfit: StageEstimate, plan: Plan, shape: ModelShape, lengths: Lengths, machine: Machine) -> str:
    """The first change, the cheapest first, with which the stage fits."""
    for change in changes(misfit.stage, plan):
        changed = next(
            one for one in estimate_stages(change.plan, shape, lengths, machine) if one.stage == misfit.stage
        )
        if changed.memory_bytes <= HEADROOM * machine.memory_bytes:
            return f"set {change.words} (about {changed.memory_bytes / GIB:.1f} GiB)"
    return "no setting of this model fits; choose a smaller model, or more or larger devices"


def changes(stage: str, plan: Plan) -> Iterator[Change]:
    """What can be changed for a stage, in the order of what it costs."""
    if stage in ("reference", "holdout"):
        yield from _halved(plan, "score_batch", "rows.score_batch_size")
    elif stage == "generate":
        yield from _halved(plan, "generate_batch", "generate.batch_size")
    elif stage == "mmlu":
        yield from _halved(plan, "question_tokens_at_once", "mmlu.max_batch_tokens")
    elif stage == "probe":
        yield from _halved(plan, "probe_batch", "probe.batch_size")
    else:
        yield from _training_changes(plan)
    if not plan.is_quantized and plan.device == "cuda" and plan.method != "full":
        quantized = plan._replace(
            method="qlora", is_quantized=True, train_batch=1, checkpointing=True, score_batch=1
        )
        yield Change(
            quantized,
            "train.method qlora and runtime.quantization nf4, with train.gradient_checkpointing true and "
            "train.per_device_train_batch_size 1",
        )


def _training_changes(plan: Plan) -> Iterator[Change]:
    batches = list(_halved(plan, "train_batch", "train.per_device_train_batch_size"))
    more = " and train.gradient_accumulation_steps higher by as much"
    yield from (Change(change.plan, change.words + more) for change in batches)
    if not plan.checkpointing:
        yield Change(plan._replace(checkpointing=True), "train.gradient_checkpointing true")
        for change in batches:
            words = f"train.gradient_checkpointing true, {change.words}{more}"
            yield Change(change.plan._replace(checkpointing=True), words)
    if plan.method == "full":
        for parts in (2, 4, 8, 16):
            yield Change(
                plan._replace(shards="all", n_processes=parts, checkpointing=True, train_batch=1),
                f"processes.accelerate_config sizes/accelerate/fsdp2.yaml on {parts} such devices, "
                "train.gradient_checkpointing true and train.per_device_train_batch_size 1",
            )


def _halved(plan: Plan, field: str, parameter: str) -> Iterator[Change]:
    value = getattr(plan, field)
    while value > 1:
        value //= 2
        yield Change(plan._replace(**{field: value}), f"{parameter} {value}")


def disk_bytes(plan: Plan, shape: ModelShape, *, is_downloaded: bool) -> float:
    """Disk the run takes: the checkpoint once more in `models/base`, the policy, and three checkpoints.

    Two checkpoints are kept and a third is there while it is written. Of all weights a checkpoint has the
    float32 weights and the moments (12 bytes a weight with Adam), of an adapter the same for its own.
    """
    # once in the hub's cache, once in the repository
    base = stored_bytes(plan, shape) * (1 if is_downloaded else 2)
    is_full = plan.method == "full"
    trained = shape.n_weights if is_full else shape.n_lora(plan.lora_rank)
    policy = stored_bytes(plan, shape) if is_full else 4 * trained
    return base + policy + 3 * (4 + plan.moment_bytes) * trained
