"""TRL's `DPOTrainer`, fed with what Blue Pencil already knows.

TRL keeps the loop, the losses and the metrics. The subclass hands it token ids that are already
rendered, reference log-probs that are already computed, shared-prefix rows and batches of similar
length, and stops at the first number that is not finite.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any, NoReturn

import torch
from datasets import Dataset
from trl import DPOTrainer
from trl.trainer import dpo_trainer
from trl.trainer import utils as trl_utils
from trl.trainer.dpo_trainer import DataCollatorForPreference

from stages.errors import RuntimeCheckError
from stages.logprobs.fast.lean_layers import make_layers_lean
from stages.logprobs.fast.lora import add_products_in_place
from stages.logprobs.reference import ReferenceRow, reference_sums
from stages.logprobs.shared_prefix import add_shared_prefix
from stages.model.rendered import RenderedPair
from stages.training.batching import epoch_order
from stages.training.watch_rules import exploded


@contextmanager
def without_reference_model() -> Iterator[None]:
    """Keep TRL from what only its own reference log-probs need; `_precompute_ref_logps` below replaces them.

    It hashes all weights to name a cache and, under FSDP, loads the base once more in every process.
    """
    hash_module, load_reference = dpo_trainer.hash_module, dpo_trainer.create_model_from_path
    dpo_trainer.hash_module = lambda _model: ""
    dpo_trainer.create_model_from_path = lambda *_args, **_kwargs: None
    try:
        yield
    finally:
        dpo_trainer.hash_module, dpo_trainer.create_model_from_path = hash_module, load_reference


@contextmanager
def before_sharding() -> Iterator[None]:
    """Lets the model run while it is whole: under ZeRO-3 TRL takes it for sharded from the beginning."""
    gather_head = trl_utils.maybe_gather_lm_head_ctx
    trl_utils.maybe_gather_lm_head_ctx = lambda *_weights: nullcontext()
    try:
        yield
    finally:
        trl_utils.maybe_gather_lm_head_ctx = gather_head


def pairs_per_step(args: Any) -> int:
    """Pairs of one optimizer step by transformers' `TrainingArguments`, over all batches and processes."""
    n_pairs: int = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
    return n_pairs


class PairSampler(torch.utils.data.Sampler[int]):
    """Yields `epoch_order`; Accelerate tells it the epoch, also after a resume."""

    def __init__(self, pairs: Sequence[ReferenceRow], *, n_per_step: int, seed: int) -> None:
        self.names = [pair.pair_id for pair in pairs]
        self.lengths = [RenderedPair(*pair[:4]).n_row_tokens for pair in pairs]
        self.n_per_step = n_per_step
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
                self.names, self.lengths, n_per_step=self.n_per_step, seed=self.seed, epoch=self.epoch
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
        with without_reference_model():
            super().__init__(*args, train_dataset=Dataset.from_dict(columns), **kwargs)
        self.base_dtype: torch.dtype = self.model.dtype
        model = self.model.get_base_model() if hasattr(self.model, "peft_config") else self.model
        with before_sharding():
            add_shared_prefix(model, with_metrics=True)
        add_products_in_place(self.model)
        make_layers_lean(self.model)

    def create_accelerator_and_postprocess(self) -> None:
        """Under FSDP in 16 bits Accelerate rounds what the model returns, log-probs and their sums; undo it.

        A sum of log-probs near -300 would be a multiple of 2 in bfloat16. Gradients, too, are averaged whole.
        """
        super().create_accelerator_and_postprocess()
        plugin = getattr(self.accelerator.state, "fsdp_plugin", None)
        if plugin is not None and plugin.mixed_precision_policy is not None:
            plugin.mixed_precision_policy = replace(
                plugin.mixed_precision_policy, output_dtype=None, reduce_dtype=torch.float32
            )

    def _prepare_dataset(self, dataset: Dataset, *_args: Any, **_kwargs: Any) -> Dataset:
        return dataset  # rendered and checked by model/rendering.py; nothing is dropped or cut

    def _precompute_ref_logps(self, dataset: Dataset, *_args: Any, **_kwargs: Any) -> Dataset:
        return dataset  # they come from the `reference` stage, matched token by token

    def _get_train_sampler(self, *_args: Any, **_kwargs: Any) -> PairSampler:
        return PairSampler(self.pairs, n_per_step=pairs_per_step(self.args), seed=self.args.seed)

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
                f"the loss is {value:.4g}, it began at {self.first_loss:.4g} (watch.max_loss_growth)", numbers
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
