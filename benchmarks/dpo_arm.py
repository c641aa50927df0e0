"""One arm of `benchmarks.dpo` in a process of its own, so that its peak memory is its own.

`python -m benchmarks.dpo_arm SPEC.json` loads a model, then does one block of work for each line it
reads from stdin and answers it with one line of JSON: phase, pairs, seconds, CPU seconds. Loading,
importing and waiting are outside every measured block.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TextIO

from stages.files.io import read_json
from stages.logprobs.reference import ReferenceRow
from stages.model.rendered import RenderedPair, similar_length_batches
from stages.run.params import Params, RuntimeParams, TrainParams
from stages.run.shell import run_stage

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from trl import DPOTrainer


class Spec(NamedTuple):
    """What one arm does. `flags` are DPOConfig's, over TRL's own defaults; they do not concern `ours`.

    `keeps_memory`: does stock TRL, too, have its process reuse what it frees (model/cpu.py)?
    """

    kind: Literal["reference", "ours", "trl"]
    base: str
    folder: str
    pairs: list[list[Any]]  # RenderedPair; in the order of training for `trl` with sequential batches
    params: dict[str, Any]  # all of params.yaml
    flags: dict[str, Any]
    keeps_memory: bool


class Clock:
    """Measures from the parent's word to the end of a block."""

    def __init__(self, channel: TextIO) -> None:
        self.channel = channel
        self.started = self.cpu_started = 0.0
        self.finished: dict[str, Any] = {"phase": "ready"}

    def wait(self) -> None:
        """Report what is finished, now that the next block can begin, and begin at the parent's word."""
        self.channel.write(json.dumps(self.finished) + "\n")
        self.channel.flush()
        if not sys.stdin.readline():
            sys.exit("benchmarks.dpo_arm: the parent is gone")
        self.started, self.cpu_started = time.perf_counter(), time.process_time()

    def done(self, phase: str, n_pairs: int) -> None:
        """Stop the clock; what follows up to the next `wait` is not measured."""
        import torch

        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        self.finished = {
            "phase": phase,
            "n_pairs": n_pairs,
            "seconds": time.perf_counter() - self.started,
            "cpu_seconds": time.process_time() - self.cpu_started,
        }


def main() -> None:
    """Do what the file named on the command line says."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not reach the parent's ear
    clock = Clock(channel)
    spec = Spec(**read_json(Path(sys.argv[1])))
    import stages.training.dpo  # noqa: F401 - what importing alone takes of memory

    imported = peak_bytes()
    losses: list[float] = []
    if spec.kind == "reference":
        score(spec, clock)
    else:
        trainer, losses = (ours if spec.kind == "ours" else stock)(spec, clock)
        pause_between_steps(trainer, clock)
        trainer.train()
    clock.wait()
    end = {"phase": "end", "losses": losses, "imported_bytes": imported, "peak_bytes": peak_bytes()}
    channel.write(json.dumps(end) + "\n")
    channel.close()


def score(spec: Spec, clock: Clock | None) -> list[ReferenceRow]:
    """The reference of all pairs; with a clock a step's worth of pairs is a block."""
    from stages.logprobs.scoring import prepare_for_scoring, score_batch
    from stages.model.checkpoint import load_model, load_tokenizer

    params = Params(**spec.params)
    runtime, train, size = params.runtime, params.train, params.rows.score_batch_size
    pairs = [RenderedPair(*values) for values in spec.pairs]
    tokenizer = load_tokenizer(Path(spec.base))
    model = load_model(Path(spec.base), None, runtime)
    prepare_for_scoring(model)
    batches = list(similar_length_batches(pairs, batch_size=size))
    n_step = train.per_device_train_batch_size * train.gradient_accumulation_steps
    n_at_once = max(n_step // size, 1)
    scored = {}
    for start in range(0, len(batches), n_at_once):
        block = batches[start : start + n_at_once]
        if clock:
            clock.wait()
        for batch in block:
            scored.update(score_batch(model, batch, pad_token_id=tokenizer.pad_token_id))
        if clock:
            clock.done("reference", sum(map(len, block)))
    return [ReferenceRow(*pair, *scored[pair.pair_id]) for pair in pairs]


def ours(spec: Spec, clock: Clock) -> tuple["DPOTrainer", list[float]]:
    """Check the first step, and be ready to train; the reference is another arm's, so not measured here."""
    from stages.model.checkpoint import load_model, load_tokenizer
    from stages.training import dpo

    params = Params(**spec.params)
    rows = score(spec, None)
    trainer = dpo.build_trainer(
        load_model(Path(spec.base), None, params.runtime), load_tokenizer(Path(spec.base)), rows,
        train=params.train, runtime=params.runtime, watch=params.watch, checkpoints=Path(spec.folder),
    )  # fmt: skip
    losses = record_losses(trainer)
    clock.wait()
    dpo.check_step_zero(
        trainer, batch_size=params.rows.score_batch_size, tolerance=params.watch.margin_tolerance
    )
    clock.done("check", len(rows))
    return trainer, losses


def stock(spec: Spec, clock: Clock) -> tuple["DPOTrainer", list[float]]:
    """TRL's own trainer and loop, on the same token ids; its precomputation, if asked for, is one block."""
    from transformers import AutoModelForCausalLM, PrinterCallback

    from stages.model.checkpoint import load_tokenizer, use_threads
    from stages.model.cpu import keep_freed_memory

    runtime, train = Params(**spec.params).runtime, Params(**spec.params).train
    pairs = [RenderedPair(*values) for values in spec.pairs]
    tokenizer = load_tokenizer(Path(spec.base))
    use_threads(runtime)
    if spec.keeps_memory:
        keep_freed_memory()
    model = AutoModelForCausalLM.from_pretrained(  # not load_model, which brings what is ours along
        spec.base, dtype=runtime.dtype, attn_implementation=runtime.attn_implementation
    )
    clock.wait()
    trainer = stock_trainer(
        model, tokenizer, pairs, runtime=runtime, train=train, folder=spec.folder, flags=spec.flags
    )
    clock.done("construct", len(pairs))
    trainer.remove_callback(PrinterCallback)
    return trainer, record_losses(trainer)


def stock_trainer(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    pairs: Sequence[RenderedPair],
    *,
    runtime: RuntimeParams,
    train: TrainParams,
    folder: str,
    flags: Mapping[str, Any],
) -> "DPOTrainer":
    """TRL's trainer over token ids; `flags` are DPOConfig's, over TRL's defaults."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    from stages.training.dpo import lora_config

    columns = {name: [getattr(pair, name) for pair in pairs] for name in RenderedPair._fields[1:]}
    columns["length"] = [pair.n_longest_tokens for pair in pairs]  # for group_by_length
    os.environ["ACCELERATE_USE_CPU"] = str(runtime.device == "cpu").lower()
    config = DPOConfig(
        output_dir=folder, save_strategy="no", report_to="none", disable_tqdm=True,
        use_cpu=runtime.device == "cpu", bf16=runtime.dtype == "bfloat16", fp16=runtime.dtype == "float16",
        dataloader_pin_memory=runtime.device == "cuda",
        loss_type=list(train.loss_type), beta=train.beta, learning_rate=train.learning_rate,
        num_train_epochs=train.num_train_epochs, warmup_steps=train.warmup_steps,
        lr_scheduler_type=train.lr_scheduler_type,
        weight_decay=train.weight_decay, max_grad_norm=train.max_grad_norm, seed=train.seed,
        remove_unused_columns=False, **flags,
    )  # fmt: skip

    class TokenTrainer(DPOTrainer):
        """TRL's trainer; only that the pairs come as token ids, so no text is left to prepare."""

        def _prepare_dataset(self, dataset: Dataset, *_args: Any, **_kwargs: Any) -> Dataset:
            return dataset

    return TokenTrainer(
        model=model, args=config, train_dataset=Dataset.from_dict(columns), processing_class=tokenizer,
        peft_config=lora_config(train),
    )  # fmt: skip


def record_losses(trainer: "DPOTrainer") -> list[float]:
    """A list that fills with the loss of every forward pass, unrounded."""
    losses: list[float] = []
    compute: Callable[..., Any] = trainer.compute_loss

    def compute_and_record(*args: Any, **kwargs: Any) -> Any:
        loss = compute(*args, **kwargs)
        losses.append(float(loss.detach()))
        return loss

    trainer.compute_loss = compute_and_record
    return losses


def pause_between_steps(trainer: "DPOTrainer", clock: Clock) -> None:
    """Report every optimizer step as a block and wait for the parent's word before the next."""
    from transformers import TrainerCallback

    from stages.training.batching import pairs_per_step

    n_pairs = pairs_per_step(trainer.args)

    class Pause(TrainerCallback):
        def on_train_begin(self, *_args: Any, **_kwargs: Any) -> None:
            clock.wait()

        def on_step_end(self, _args: Any, state: Any, *_rest: Any, **_kwargs: Any) -> None:
            clock.done("train", n_pairs)
            if state.global_step < state.max_steps:
                clock.wait()

    trainer.add_callback(Pause())


def peak_bytes() -> int:
    """The most memory that this process has had: of the GPU where it uses one, else resident."""
    import torch

    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts KiB


if __name__ == "__main__":
    run_stage(main)
