"""DPO training: TRL's `DPOTrainer`, told what Blue Pencil already knows.

TRL keeps the loop, the losses and the metrics. The subclass hands it token ids that are already
rendered, reference log-probs that are already computed, shared-prefix rows and batches of similar
length, and stops at the first number that is not finite.
"""

import math
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from accelerate import PartialState
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback
from trl import DPOConfig, DPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference

from stages.adapters.checkpoints import seal_checkpoint
from stages.adapters.scoring import score_batch
from stages.adapters.shared_prefix import add_shared_prefix
from stages.core.batching import epoch_order, n_repeated_pairs
from stages.core.reference import ReferenceRow, reference_sums
from stages.core.rendered import RenderedPair, similar_length_batches
from stages.core.training_watch import chosen_drops, collapsed, exploded
from stages.errors import ModelError, RuntimeCheckError
from stages.params import RuntimeParams, TrainParams
from stages.progress import say

if TYPE_CHECKING:
    from peft import LoraConfig
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CHECKPOINT_COMPLETE = "complete.json"  # written last; a checkpoint without it was cut off while saving
SECONDS_BETWEEN_LINES = 10.0


class PairSampler(torch.utils.data.Sampler[int]):
    """Yields `epoch_order`; Accelerate tells it the epoch, also after a resume."""

    def __init__(self, pairs: Sequence[ReferenceRow], *, batch_size: int, seed: int) -> None:
        self.names = [pair.pair_id for pair in pairs]
        self.lengths = [sum(map(len, pair[1:4])) for pair in pairs]
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[int]:
        return iter(
            epoch_order(
                self.names, self.lengths, batch_size=self.batch_size, seed=self.seed, epoch=self.epoch
            )
        )


class PairCollator(DataCollatorForPreference):
    """TRL's collator, and the row number of each pair, so that a bad batch can be named."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Collate one batch."""
        batch: dict[str, Any] = super().torch_call(examples)
        batch["row_number"] = torch.tensor([example["row_number"] for example in examples])
        return batch


class PairTrainer(DPOTrainer):
    """`DPOTrainer` over `ReferenceRow`s."""

    def __init__(
        self, *args: Any, pairs: Sequence[ReferenceRow], max_loss_growth: float, **kwargs: Any
    ) -> None:
        self.pairs = pairs
        self.max_loss_growth = max_loss_growth
        self.first_loss: float | None = None
        self.step_numbers: list[int] = []  # rows of the pairs since the last optimizer step
        ld_alpha = kwargs["args"].ld_alpha
        sums = [reference_sums(pair, ld_alpha=ld_alpha) for pair in pairs]
        columns = {name: [getattr(pair, name) for pair in pairs] for name in ReferenceRow._fields[1:4]}
        columns["ref_chosen_logps"] = [pair_sums.chosen for pair_sums in sums]
        columns["ref_rejected_logps"] = [pair_sums.rejected for pair_sums in sums]
        columns["row_number"] = list(range(len(pairs)))
        super().__init__(*args, train_dataset=Dataset.from_dict(columns), **kwargs)
        self.base_dtype: torch.dtype = self.model.dtype
        model = self.model.get_base_model() if hasattr(self.model, "peft_config") else self.model
        add_shared_prefix(model, with_metrics=True)

    def _prepare_dataset(self, dataset: Dataset, *_args: Any, **_kwargs: Any) -> Dataset:
        return dataset  # rendered and checked by adapters/rendering.py; nothing is dropped or cut

    def _precompute_ref_logps(self, dataset: Dataset, *_args: Any, **_kwargs: Any) -> Dataset:
        return dataset  # they come from the `reference` stage, matched token by token

    def _get_train_sampler(self, *_args: Any, **_kwargs: Any) -> PairSampler:
        batch_size = self.args.per_device_train_batch_size
        return PairSampler(self.pairs, batch_size=batch_size, seed=self.args.seed)

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """TRL's loss; RuntimeCheckError naming the batch's pairs where it is not finite, or explodes."""
        numbers = inputs.pop("row_number").tolist()
        self.step_numbers += numbers
        loss = super().compute_loss(model, inputs, *args, **kwargs)
        value = loss.item()
        if not math.isfinite(value):
            self._stop(f"the loss is {value}", numbers)
        if self.first_loss is None:
            logged = self.state.log_history  # filled when a run is resumed
            self.first_loss = logged[0]["loss"] if logged else value
        if exploded(value, first=self.first_loss, max_growth=self.max_loss_growth):
            self._stop(
                f"the loss is {value:.4g}, it began at {self.first_loss:.4g} (train.max_loss_growth)", numbers
            )
        return loss

    def _get_grad_norm(self, *args: Any, **kwargs: Any) -> Any:
        """The norm before clipping, looked at before the weights take the step."""
        norm = super()._get_grad_norm(*args, **kwargs)
        numbers, self.step_numbers = self.step_numbers, []
        # in float16 the scaler meets infinite gradients by design, and leaves such a step out
        if norm is not None and not self.args.fp16 and not math.isfinite(norm):
            self._stop(f"the gradient's norm is {float(norm)}", numbers)
        return norm

    def _stop(self, what: str, numbers: Sequence[int]) -> NoReturn:
        ids = ", ".join(self.pairs[number].pair_id for number in numbers)
        raise RuntimeCheckError(
            f"train: {what} at step {self.state.global_step} on pairs {ids}; "
            "lower train.learning_rate or train.beta, or use runtime.dtype float32"
        )

    def create_model_card(self, *_args: Any, **_kwargs: Any) -> None:
        """The `report` stage writes the card."""


class Watch(TrainerCallback):
    """A progress line with speed and time left, a warning; seals checkpoints that are whole."""

    def __init__(self, pairs: Sequence[ReferenceRow], train: TrainParams) -> None:
        self.n_pairs = len(pairs)
        self.mean_tokens = sum(sum(map(len, pair[1:4])) for pair in pairs) / len(pairs)
        self.mean_chosen = sum(len(pair.chosen_ids) for pair in pairs) / len(pairs)
        self.train = train
        self.has_warned = False
        self.first_step = 0
        self.start = self.last = 0.0

    def on_train_begin(self, args: Any, state: Any, _control: Any, **_kwargs: Any) -> None:
        """Start the clock; a resumed run starts above zero."""
        self.first_step = state.global_step
        self.start = self.last = time.monotonic()
        if state.global_step:
            say(f"train: resumed at step {state.global_step} of {state.max_steps}")
        repeated = n_repeated_pairs(
            self.n_pairs, batch_size=args.per_device_train_batch_size, n_processes=args.world_size
        )
        if repeated:
            say(
                f"train: {repeated} pairs of an epoch's beginning are read again at its end, so that all "
                f"{args.world_size} processes have as many"
            )

    def on_log(self, args: Any, state: Any, _control: Any, logs: dict[str, float], **_kwargs: Any) -> None:
        """Say where training is, and once that the chosen texts are being unlearnt."""
        self._warn_of_collapse(state)
        now = time.monotonic()
        n_steps = state.global_step - self.first_step
        if (
            "loss" not in logs
            or n_steps == 0
            or (now - self.last < SECONDS_BETWEEN_LINES and state.global_step < state.max_steps)
        ):
            return
        self.last = now
        per_step = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
        pairs_per_second = n_steps * per_step / (now - self.start)
        left = (state.max_steps - state.global_step) * (now - self.start) / n_steps
        say(
            f"train: step {state.global_step}/{state.max_steps}, loss {logs['loss']:.4f}, "
            f"margin {logs['rewards/margins']:+.3f}, {pairs_per_second:.2f} pairs/s, "
            f"{pairs_per_second * self.mean_tokens:.0f} tokens/s, {left:.0f} s left"
        )

    def on_save(self, args: Any, state: Any, _control: Any, **_kwargs: Any) -> None:
        """Mark the checkpoint as whole."""
        PartialState().wait_for_everyone()  # each process writes its own part of a checkpoint
        if state.is_world_process_zero:
            seal_checkpoint(Path(args.output_dir) / f"checkpoint-{state.global_step}", CHECKPOINT_COMPLETE)

    def log_rows(self, history: Sequence[dict[str, float]]) -> list[dict[str, float]]:
        """Log lines of training steps, with `chosen_drop` (nats a token) and `chosen_collapsed` (0, 1)."""
        steps = [entry for entry in history if "loss" in entry]
        rewards = [entry["rewards/chosen"] for entry in steps]
        drops = chosen_drops(rewards, beta=self.train.beta, mean_tokens=self.mean_chosen)
        fallen = collapsed(drops, limit=self.train.chosen_drop_limit, window=self.train.chosen_drop_window)
        return [
            entry | {"chosen_drop": drop, "chosen_collapsed": int(fell)}
            for entry, drop, fell in zip(steps, drops, fallen, strict=True)
        ]

    def _warn_of_collapse(self, state: Any) -> None:
        rows = [] if self.has_warned else self.log_rows(state.log_history)
        if rows and rows[-1]["chosen_collapsed"]:
            self.has_warned = True
            say(
                f"train: warning: at step {state.global_step} the chosen texts are less likely than under "
                f"the base by {rows[-1]['chosen_drop']:.2f} nats a token (train.chosen_drop_limit "
                f"{self.train.chosen_drop_limit}, mean of {self.train.chosen_drop_window} log lines): the "
                "policy unlearns both texts; raise train.beta, lower train.learning_rate, or add sft to "
                "train.loss_type"
            )


def build_trainer(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    pairs: Sequence[ReferenceRow],
    *,
    train: TrainParams,
    runtime: RuntimeParams,
    checkpoints: Path,
) -> PairTrainer:
    """A trainer ready to run; checkpoints go to `checkpoints`."""
    # Trainer logs by report_to and prints by callback; Watch and log.csv say it instead
    os.environ["ACCELERATE_USE_CPU"] = str(runtime.device == "cpu").lower()
    config = DPOConfig(
        output_dir=str(checkpoints),
        loss_type=list(train.loss_type),
        loss_weights=train.loss_weights,
        beta=train.beta,
        label_smoothing=train.label_smoothing,
        ld_alpha=train.ld_alpha,
        f_divergence_type=train.f_divergence_type,
        max_length=None,
        learning_rate=train.learning_rate,
        num_train_epochs=train.num_train_epochs,
        per_device_train_batch_size=train.per_device_train_batch_size,
        gradient_accumulation_steps=train.gradient_accumulation_steps,
        warmup_steps=train.warmup_steps,
        lr_scheduler_type=train.lr_scheduler_type,
        weight_decay=train.weight_decay,
        max_grad_norm=train.max_grad_norm,
        gradient_checkpointing=train.gradient_checkpointing,
        seed=train.seed,
        bf16=runtime.dtype == "bfloat16",
        fp16=runtime.dtype == "float16",
        use_cpu=runtime.device == "cpu",
        dataloader_pin_memory=runtime.device == "cuda",
        precompute_ref_log_probs=True,
        remove_unused_columns=False,
        logging_steps=train.logging_steps,
        save_steps=train.save_steps,
        save_total_limit=2,
        ddp_find_unused_parameters=False,  # every trained weight is used in every batch
        report_to="none",
        disable_tqdm=True,
        trust_remote_code=False,
    )
    try:
        trainer = PairTrainer(
            model=model,
            args=config,
            processing_class=tokenizer,
            data_collator=PairCollator(pad_token_id=tokenizer.pad_token_id),
            peft_config=None if train.method == "full" else lora_config(train),
            callbacks=[Watch(pairs, train)],
            pairs=pairs,
            max_loss_growth=train.max_loss_growth,
        )
    except ValueError as error:
        said = str(error).lower()
        if "target modules" not in said and "lm_head" not in said:
            raise
        why = (
            "put an adapter on the LM head, which DPO cannot train" if "lm_head" in said else "match no layer"
        )
        raise ModelError(
            f"train.lora_target_modules: {train.lora_target_modules} {why} of this model; "
            "name its linear layers, or write all-linear"
        ) from error
    trainer.remove_callback(PrinterCallback)
    return trainer


def lora_config(train: TrainParams) -> "LoraConfig":
    """PEFT's LoRA settings."""
    from peft import LoraConfig

    targets = train.lora_target_modules
    return LoraConfig(
        r=train.lora_r,
        lora_alpha=train.lora_alpha,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
    )


def check_step_zero(trainer: PairTrainer, *, batch_size: int, tolerance: float) -> None:
    """Before any step the policy is the base: its log-prob differences must agree with the reference.

    Scores the longest pairs, the batch that fails first if memory is short. Margins are in nats,
    without beta. RuntimeCheckError names the pair that differs most.
    """
    by_id = {pair.pair_id: pair for pair in trainer.pairs}
    batch = next(
        similar_length_batches([RenderedPair(*pair[:4]) for pair in trainer.pairs], batch_size=batch_size)
    )
    scored = score_batch(trainer.model, batch, pad_token_id=trainer.processing_class.pad_token_id)

    def margin(pair_id: str) -> float:
        policy, base = scored[pair_id], reference_sums(by_id[pair_id], ld_alpha=None)
        return (sum(policy.chosen) - base.chosen) - (sum(policy.rejected) - base.rejected)

    worst = max(scored, key=lambda pair_id: abs(margin(pair_id)))
    if abs(margin(worst)) > tolerance:
        raise RuntimeCheckError(
            f"train: before the first step pair {worst} has a margin of {margin(worst):.2e} nats, not 0 "
            f"within runtime.margin_tolerance {tolerance}: policy and reference were not scored alike; run "
            "`dvc repro reference`, or state the tolerance of this dtype"
        )


def gather_weights(trainer: PairTrainer) -> dict[str, torch.Tensor] | None:
    """The weights whole and on the CPU where processes share them, else None; all processes must call it."""
    if not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        return None
    weights: dict[str, torch.Tensor] = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    return weights


def save_policy(
    trainer: PairTrainer, folder: Path, *, base_name: str, weights: dict[str, torch.Tensor] | None = None
) -> None:
    """Write safetensors and config: an adapter, naming its base as the repository does, or all weights.

    All weights are written in the base's dtype. `weights`: what `gather_weights` gave.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    if hasattr(model, "peft_config"):
        model.peft_config["default"].base_model_name_or_path = base_name
        # "auto" would ask a model hub whether the base's vocabulary was resized; it never is here
        model.save_pretrained(folder, save_embedding_layers=False, state_dict=weights)
    elif weights is None:
        model.to(trainer.base_dtype).save_pretrained(folder)
    else:
        rounded = {name: weight.to(trainer.base_dtype) for name, weight in weights.items()}
        model.save_pretrained(folder, state_dict=rounded)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's template; ours is reports/model_card.md


def train_policy(trainer: PairTrainer, *, resume_from: Path | None) -> None:
    """Run all steps, from `resume_from` on where there is one.

    Where all weights are trained they are held in float32, whatever the dtype of the forward pass: a step of
    1e-6 is less than half a unit of bfloat16's 8 bits, so it would be rounded away.
    """
    if not hasattr(trainer.model, "peft_config"):
        trainer.model.float()
    try:
        trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
    except torch.OutOfMemoryError as error:
        raise ModelError(
            "train: out of GPU memory; lower train.per_device_train_batch_size and raise "
            "train.gradient_accumulation_steps as much, or set train.gradient_checkpointing true"
        ) from error


def log_rows(trainer: PairTrainer) -> list[dict[str, float]]:
    """What was logged, one row a log line; see `Watch.log_rows`."""
    watch = next(one for one in trainer.callback_handler.callbacks if isinstance(one, Watch))
    return watch.log_rows(trainer.state.log_history)
