"""`benchmarks.gpu training`: DPO with LoRA on a model of 8 billion weights, ours against TRL's best flags."""

import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from transformers import PreTrainedTokenizerBase

from benchmarks.dpo_arm import record_losses, stock_trainer
from benchmarks.gpu_clock import Stopwatch, attempt, now, on_this_device, peaks, reset_peak
from benchmarks.gpu_models import TINY, describe_lengths, random_model, random_pairs, unscored_rows
from stages.logprobs.reference import ReferenceRow
from stages.logprobs.scoring import prepare_for_scoring, score_batch, score_pairs
from stages.model.rendered import RenderedPair, similar_length_batches
from stages.run.params import Params, RuntimeParams, TrainParams, WatchParams
from stages.run.progress import say
from stages.sizing.machine import measure_rates
from stages.sizing.shape import KNOWN_MODELS, ModelShape
from stages.training import dpo
from stages.training.pair_trainer import without_reference_model
from tests.support.tiny_models import tiny_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from trl import DPOTrainer

EIGHT_BILLION = "meta-llama/Llama-3.1-8B-Instruct"
PAIRS_PER_STEP = 16
UNWATCHED = {"save_steps": 10**6, "max_loss_growth": math.inf}
BEST = {
    "precompute_ref_log_probs": True,
    "train_sampling_strategy": "group_by_length",
    "logging_steps": 1,
}


class Arm(NamedTuple):
    """One way to train: whose trainer, pairs in a batch, and what differs from the setting."""

    name: str
    is_ours: bool
    batch: int
    flags: Mapping[str, Any] | None = None
    checkpointing: bool = False
    attention: str = "sdpa"
    usual: str = ""  # modules with this attribute are as PEFT or transformers wrote them
    liger: bool = False


class Task(NamedTuple):
    """What every arm is given, in its own batches."""

    shape: ModelShape
    pairs: list[RenderedPair]
    runtime: RuntimeParams
    train: TrainParams
    watch: WatchParams
    score_batch_size: int
    folder: str


FIRST = Arm("ours, batches of 8", True, 8)


def training(params: Params, is_tiny: bool) -> dict[str, Any]:
    """LoRA on a model of 8 billion weights: TRL's best flags against ours, two epochs, the second timed."""
    runtime = on_this_device(params.runtime)
    shape = TINY if is_tiny else KNOWN_MODELS[EIGHT_BILLION]
    train = params.train.model_copy(update={"lora_r": 32, "lora_alpha": 64, "learning_rate": 5e-6})
    pairs = random_pairs(32 if is_tiny else 128, vocabulary=shape.vocabulary)
    on_card = params.model_copy(update={"runtime": runtime, "train": train})
    rate = measure_rates(runtime).flops_per_second
    plain, liger = {"gradient_checkpointing": False}, {"use_liger_kernel": True}
    arms = [
        FIRST,
        Arm("ours, batches of 16", True, 16),
        Arm("TRL, best flags, batches of 8", False, 8, BEST | plain),
        Arm("TRL, best flags, batches of 16", False, 16, BEST | plain),
        Arm("ours, batches of 32", True, 32),
        Arm("TRL, best flags, batches of 32", False, 32, BEST | plain),
        Arm("ours, batches of 16, PEFT's product", True, 16, usual="lora_A"),
        Arm("ours, batches of 16, transformers' norms", True, 16, usual="variance_epsilon"),
        Arm("ours, batches of 16, checkpointing", True, 16, checkpointing=True),
        Arm("ours, batches of 16, flex attention", True, 16, attention="flex_attention"),
        Arm("ours, batches of 16, Liger", True, 16, liger=True),  # it patches a module, so it comes last
        Arm("ours, batches of 8, Liger", True, 8, liger=True),
        Arm("TRL, the same with Liger, 16", False, 16, BEST | plain | liger),
        Arm("TRL's defaults", False, 8),
    ]
    only = os.environ.get("BENCH_ARMS")
    found: dict[str, Any] = {
        "shape": shape._asdict(),
        "n_weights": shape.n_weights,
        "lengths": describe_lengths(pairs),
        "tflops": rate / 1e12,
        "arms": {},
    }
    for arm in arms:
        if only and not any(part in arm.name for part in only.split("|")):
            continue
        one = attempt(time_arm, arm, shape, pairs, on_card)
        if "seconds_per_pair" in one:
            useful = useful_flops(shape, train, pairs) / len(pairs)
            one["share_of_rate"] = useful / one["seconds_per_pair"] / rate
        say(f"  {arm.name}: {one}")
        found["arms"][arm.name] = one
    return found


def batches_per_step(arm: Arm) -> int:
    """How many batches a step adds up: a step has 16 pairs, or one batch where that alone has more."""
    return max(1, PAIRS_PER_STEP // arm.batch)


def useful_flops(shape: ModelShape, train: TrainParams, pairs: Sequence[RenderedPair]) -> float:
    """Of one epoch: forward and the gradient of activations, LoRA three times; no padding, nothing twice."""
    n_tokens = sum(pair.n_row_tokens for pair in pairs)
    n_labels = sum(pair.n_row_tokens - len(pair.prompt_ids) for pair in pairs)
    context = n_tokens / len(pairs) / 2
    frozen = 2 * shape.forward_flops(n_tokens, n_labels, context=context)
    return frozen + 6 * shape.n_lora(train.lora_r) * n_tokens


def time_arm(arm: Arm, shape: ModelShape, pairs: list[RenderedPair], params: Params) -> dict[str, Any]:
    """Seconds a pair of the second epoch, peak memory, losses; and what scoring the reference took."""
    runtime = params.runtime.model_copy(update={"attn_implementation": arm.attention})
    train = params.train.model_copy(
        update={
            "num_train_epochs": 2.0,
            "per_device_train_batch_size": arm.batch,
            "gradient_accumulation_steps": batches_per_step(arm),
            "gradient_checkpointing": arm.checkpointing,
        }
    )
    watch = params.watch.model_copy(update=UNWATCHED)
    with tempfile.TemporaryDirectory() as folder:
        make = our_trainer if arm.is_ours else trls_trainer
        trainer, seconds = make(
            arm, Task(shape, pairs, runtime, train, watch, params.rows.score_batch_size, folder)
        )
        return seconds | time_second_epoch(trainer, len(pairs))


def our_trainer(arm: Arm, task: Task) -> tuple["DPOTrainer", dict[str, float]]:
    """Ours, ready to run, and what the reference took; only the first arm scores it."""
    tokenizer, seconds = tiny_tokenizer(), {}
    shape, runtime, rows = task.shape, task.runtime, unscored_rows(task.pairs)
    if arm == FIRST:
        rows, seconds["reference_seconds_per_pair"] = score_reference(
            random_model(shape, runtime), task.pairs, task.score_batch_size, tokenizer
        )
    model = random_model(shape, runtime)
    trainer = dpo.build_trainer(
        model, tokenizer, rows, train=task.train, runtime=runtime, watch=task.watch,
        checkpoints=Path(task.folder),
    )  # fmt: skip
    if arm.usual:
        for layer in trainer.model.modules():
            if hasattr(layer, arm.usual):
                layer.__dict__.pop("forward", None)
    if arm.liger:  # in place of our layers
        from liger_kernel.transformers import _apply_liger_kernel_to_instance

        _apply_liger_kernel_to_instance(model=model, fused_linear_cross_entropy=False)
    if arm == FIRST:
        dpo.check_step_zero(trainer, batch_size=task.score_batch_size, tolerance=task.watch.margin_tolerance)
    return trainer, seconds


def trls_trainer(arm: Arm, task: Task) -> tuple["DPOTrainer", dict[str, float]]:
    """TRL's, ready to run, and what its making took, reference log-probs where they are computed first."""
    batches = {
        "per_device_train_batch_size": arm.batch,
        "gradient_accumulation_steps": batches_per_step(arm),
    }
    model = random_model(task.shape, task.runtime)
    start = now()
    with without_reference_model():  # else it hashes 8 billion weights, a minute that is no part of training
        trainer = stock_trainer(
            model,
            tiny_tokenizer(),
            task.pairs,
            runtime=task.runtime,
            train=task.train,
            folder=task.folder,
            flags=batches | dict(arm.flags or {}),
        )
    return trainer, {"construct_seconds_per_pair": (now() - start) / len(task.pairs)}


def score_reference(
    model: "PreTrainedModel",
    pairs: list[RenderedPair],
    size: int,
    tokenizer: PreTrainedTokenizerBase,
) -> tuple[list[ReferenceRow], float]:
    """The rows, and the seconds a pair once kernels are compiled."""
    prepare_for_scoring(model)
    for batch in list(similar_length_batches(pairs, batch_size=size))[:2]:
        score_batch(model, batch, pad_token_id=tokenizer.pad_token_id)
    start = now()
    scored = score_pairs(
        model, pairs, pad_token_id=tokenizer.pad_token_id, batch_size=size, label="reference"
    )
    seconds = (now() - start) / len(pairs)
    return [ReferenceRow(*pair, *scored[pair.pair_id]) for pair in pairs], seconds


def time_second_epoch(trainer: "DPOTrainer", n_pairs: int) -> dict[str, Any]:
    """Train; the first epoch compiles kernels and fills the allocator, the second is timed."""
    watch = Stopwatch()
    trainer.add_callback(watch)
    losses = record_losses(trainer)
    reset_peak()
    trainer.train()
    ends = watch.ends
    n_steps = len(ends) // 2
    steps = [after - before for before, after in zip(ends[n_steps - 1 :], ends[n_steps:], strict=False)]
    return {
        "seconds_per_pair": (ends[-1] - ends[n_steps - 1]) / n_pairs,
        "seconds_per_step_median": median(steps),
        "first_step_seconds": ends[1] - ends[0],
        **peaks(),
        "losses": [losses[0], losses[-1]],
    }
