"""A DPO run from settings to saved weights: build the trainer, check it, run it, save the policy."""

import importlib.util
import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import torch
from transformers import PrinterCallback
from trl import DPOConfig
from trl.trainer.utils import disable_dropout_in_model

from stages.errors import ModelError, RuntimeCheckError
from stages.logprobs.reference import ReferenceRow, reference_sums
from stages.logprobs.scoring import score_batch
from stages.model.adapters import lora_config, settings_of
from stages.model.rendered import RenderedPair, similar_length_batches
from stages.run.params import CudaOptimizer, RuntimeParams, TrainParams, WatchParams
from stages.training import groups
from stages.training.pair_trainer import PairCollator, PairTrainer, before_sharding
from stages.training.watch import Watch

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# What one process waits for another: at most while the first hashes a checkpoint of all weights and moments.
LONGEST_WAIT_SECONDS = 1200


def build_trainer(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    pairs: Sequence[ReferenceRow],
    *,
    train: TrainParams,
    runtime: RuntimeParams,
    watch: WatchParams,
    checkpoints: Path,
) -> PairTrainer:
    """A trainer ready to run; checkpoints go to `checkpoints`.

    ModelError where a package for `train.optim` is missing, or `train.lora_target_modules` fit no layer.
    """
    if train.optim in get_args(CudaOptimizer) and importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(
            f"train.optim {train.optim} needs the package bitsandbytes, which is not installed; `make "
            "qlora`, or set train.optim adamw_torch_fused"
        )
    # Trainer logs by report_to and prints by callback; Watch and log.csv say it instead
    os.environ["ACCELERATE_USE_CPU"] = str(runtime.device == "cpu").lower()
    groups.meet_processes(on_cpu=runtime.device == "cpu", patience_seconds=LONGEST_WAIT_SECONDS)
    config = DPOConfig(
        **(settings_of(DPOConfig, train) | {"max_steps": train.max_steps or -1}),
        output_dir=str(checkpoints),
        disable_dropout=False,  # it would disable LoRA's too; the model's own is disabled below
        max_length=None,
        bf16=runtime.dtype == "bfloat16",
        fp16=runtime.dtype == "float16",
        use_cpu=runtime.device == "cpu",
        dataloader_pin_memory=runtime.device == "cuda",
        dataloader_num_workers=int(runtime.device == "cuda"),  # lays out the next batch while a GPU computes
        logging_nan_inf_filter=False,  # it would read every loss once more; PairTrainer stops at one
        precompute_ref_log_probs=True,
        remove_unused_columns=False,
        save_steps=watch.save_steps,
        save_total_limit=2,
        ddp_timeout=LONGEST_WAIT_SECONDS,
        ddp_find_unused_parameters=False,  # every trained weight is used in every batch
        report_to="none",
        disable_tqdm=True,
        trust_remote_code=False,
    )
    groups.shard_on_cpus()
    disable_dropout_in_model(model)
    text = model.config.get_text_config()
    if not hasattr(text, "num_experts") and hasattr(text, "num_local_experts"):
        text.num_experts = text.num_local_experts  # Granite's; TRL balances the load of experts by this name
    try:
        trainer = PairTrainer(
            model=model,
            args=config,
            processing_class=tokenizer,
            data_collator=PairCollator(pad_token_id=tokenizer.pad_token_id),
            peft_config=None if train.method == "full" else lora_config(train, model),
            callbacks=[Watch(pairs, train)],
            pairs=pairs,
            max_loss_growth=watch.max_loss_growth,
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


def check_step_zero(trainer: PairTrainer, *, batch_size: int, tolerance: float) -> None:
    """Before any step the policy is the base: its log-prob differences must agree with the reference.

    Scores the last batch of `batch_size` (`rows.score_batch_size`) as `reference` composed it, the one of the
    shortest rows. Margins are in nats, without beta. RuntimeCheckError names the pair that differs most.
    """
    pairs = [RenderedPair(*pair[:4]) for pair in trainer.pairs]
    *_, batch = similar_length_batches(pairs, batch_size=batch_size)
    margins = margins_now(trainer, batch)
    worst = max(margins, key=lambda pair_id: abs(margins[pair_id]))
    if abs(margins[worst]) > tolerance:
        raise RuntimeCheckError(
            f"train: before the first step pair {worst} has a margin of {margins[worst]:.2e} nats, not 0 "
            f"within watch.margin_tolerance {tolerance}: policy and reference were not scored alike; run "
            "`dvc repro reference`, or state the tolerance of this dtype"
        )


def margins_now(trainer: PairTrainer, batch: Sequence[RenderedPair]) -> dict[str, float]:
    """By pair id: how much more than the base the unsharded policy prefers the chosen text, in nats."""
    by_id = {pair.pair_id: pair for pair in trainer.pairs}
    with before_sharding():
        scored = score_batch(trainer.model, batch, pad_token_id=trainer.processing_class.pad_token_id)
    margins = {}
    for pair_id, policy in scored.items():
        base = reference_sums(by_id[pair_id], ld_alpha=None)
        margins[pair_id] = (sum(policy.chosen) - base.chosen) - (sum(policy.rejected) - base.rejected)
    return margins


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
        config = model.peft_config["default"]
        config.base_model_name_or_path = base_name
        config.target_modules = sorted(config.target_modules)  # a set: each process draws its order anew
        # "auto" would ask a model hub whether the base's vocabulary was resized; it never is here
        model.save_pretrained(folder, save_embedding_layers=False, state_dict=weights)
    elif weights is None:
        model.to(trainer.base_dtype).save_pretrained(folder)
    else:
        # whole weights come under every name they have; one file holds a tied head once
        own = {name: weight for name, weight in weights.items() if name not in model.all_tied_weights_keys}
        rounded = {name: weight.to(trainer.base_dtype) for name, weight in own.items()}
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
    except pickle.UnpicklingError as error:  # torch reads tensors out of these files, and nothing that runs
        raise RuntimeCheckError(
            f"train: {resume_from} is sealed, yet holds what no training writes; somebody put it there. "
            f"Nothing of it was run; remove {trainer.args.output_dir} and start again"
        ) from error


def log_rows(trainer: PairTrainer) -> list[dict[str, float]]:
    """What was logged, one row a log line; see `Watch.log_rows`."""
    watch = next(one for one in trainer.callback_handler.callbacks if isinstance(one, Watch))
    return watch.log_rows(trainer.state.log_history)
