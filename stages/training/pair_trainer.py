"""TRL's `DPOTrainer`, fed with what Blue Pencil already knows.

TRL keeps the loop, the losses and the metrics. The subclass hands it token ids that are already
rendered, reference log-probs that are already computed, shared-prefix rows and batches of similar
length, and stops at the first number that is not finite.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import torch
from datasets import Dataset
from torch.overrides import TorchFunctionMode
from trl import DPOTrainer
from trl.trainer import dpo_trainer
from trl.trainer import utils as trl_utils
from trl.trainer.dpo_trainer import DataCollatorForPreference

from stages.errors import RuntimeCheckError
from stages.logprobs.fast.make_fast import make_fast
from stages.logprobs.reference import ReferenceRow, reference_sums
from stages.logprobs.shared_rows import lay_out
from stages.model.rendered import RenderedPair
from stages.training.batching import epoch_order, pairs_per_step
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


class Unread(TorchFunctionMode):
    """TRL reads each metric of each batch, for which a GPU is waited for; here it is handed the tensor.

    Where TRL asks whether there are tokens to divide by, there are: no completion is empty.
    """

    def __torch_function__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """The tensor itself for its number."""
        if func is torch.Tensor.item:
            return args[0].detach()
        return True if func is torch.Tensor.__bool__ else func(*args, **(kwargs or {}))


def fused_outputs(args: Any) -> tuple[str, ...]:
    """What TRL's trainer asks its fused head for (`DPOTrainer.__init__`)."""
    metrics = ("log_probs", "entropy", "mean_logits", "is_top1")
    return (*metrics, "log_sum_sq_probs") if args.use_weighting else metrics


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


@dataclass
class PairCollator(DataCollatorForPreference):
    """TRL's collator, and the row number of each pair, so that a bad batch can be named.

    It lays out the shared rows of a model with this `attention`, so that no step waits for a GPU to do it.
    """

    attention: str | None = None

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Collate one batch."""
        batch: dict[str, Any] = super().torch_call(examples)
        if self.attention is not None:
            labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, -100)
            batch["laid_out"] = lay_out(self.attention, batch["input_ids"], batch["attention_mask"], labels)
        batch["row_number"] = [example["row_number"] for example in examples]  # no tensor: read on the host
        return batch


class PairTrainer(DPOTrainer):
    """`DPOTrainer` over `ReferenceRow`s."""

    def __init__(
        self, *args: Any, pairs: Sequence[ReferenceRow], max_loss_growth: float, **kwargs: Any
    ) -> None:
        self.pairs = pairs
        self.max_loss_growth = max_loss_growth
        self.first_loss: float | None = None
        self.step_batches: list[tuple[torch.Tensor, list[int]]] = []  # losses and rows since the last step
        ld_alpha = kwargs["args"].ld_alpha
        sums = [reference_sums(pair, ld_alpha=ld_alpha) for pair in pairs]
        columns = {name: [getattr(pair, name) for pair in pairs] for name in ReferenceRow._fields[1:4]}
        columns["ref_chosen_logps"] = [pair_sums.chosen for pair_sums in sums]
        columns["ref_rejected_logps"] = [pair_sums.rejected for pair_sums in sums]
        columns["row_number"] = list(range(len(pairs)))
        with without_reference_model():
            super().__init__(*args, train_dataset=Dataset.from_dict(columns), **kwargs)
        self.base_dtype: torch.dtype = self.model.dtype
        with before_sharding():
            if make_fast(self.model, outputs=fused_outputs(self.args)):
                self.data_collator.attention = self.model.config.get_text_config()._attn_implementation

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
        """TRL's loss, remembered for `_get_grad_norm` with the rows of the batch's pairs."""
        numbers = inputs.pop("row_number")
        with ExitStack() as after_forward:

            def keep_unread(*_: Any) -> None:
                after_forward.enter_context(Unread())

            after_forward.callback(model.register_forward_hook(keep_unread).remove)
            loss = super().compute_loss(model, inputs, *args, **kwargs)
        self.step_batches.append((loss.detach(), numbers))
        return loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """TRL's means of all batches since the last log line, read all at once."""
        unread = [
            (values, place)
            for values in self._metrics["train"].values()
            for place, value in enumerate(values)
            if isinstance(value, torch.Tensor)
        ]
        if unread:
            numbers = torch.stack([values[place].double() for values, place in unread]).tolist()
            for (values, place), number in zip(unread, numbers, strict=True):
                values[place] = number
        super().log(logs, *args, **kwargs)

    def _get_grad_norm(self, *args: Any, **kwargs: Any) -> Any:
        """The norm before clipping, once a step and before the weights take it.

        RuntimeCheckError naming the pairs where a loss is not finite or explodes, or the norm is not finite.
        """
        norm = super()._get_grad_norm(*args, **kwargs)
        batches, self.step_batches = self.step_batches, []
        losses = torch.stack([loss for loss, _ in batches]).tolist()  # one wait for the GPU, not one a batch
        for loss, (_, numbers) in zip(losses, batches, strict=True):
            self._check_loss(loss, numbers)
        # in float16 the scaler meets infinite gradients by design, and leaves such a step out
        if norm is not None and not self.args.fp16 and not math.isfinite(norm):
            numbers = [number for _, of_batch in batches for number in of_batch]
            self._stop(f"the gradient's norm is {float(norm)}", numbers)
        return norm

    def _check_loss(self, loss: float, numbers: Sequence[int]) -> None:
        if not math.isfinite(loss):
            self._stop(f"the loss is {loss}", numbers)
        if self.first_loss is None:
            logged = self.state.log_history  # filled when a run is resumed
            self.first_loss = logged[0]["loss"] if logged else loss
        if exploded(loss, first=self.first_loss, max_growth=self.max_loss_growth):
            self._stop(
                f"the loss is {loss:.4g}, it began at {self.first_loss:.4g} (watch.max_loss_growth)", numbers
            )

    def _stop(self, what: str, numbers: Sequence[int]) -> NoReturn:
        ids = ", ".join(self.pairs[number].pair_id for number in numbers)
        raise RuntimeCheckError(
            f"train: {what} at step {self.state.global_step} on pairs {ids}; "
            "lower train.learning_rate or train.beta, or use runtime.dtype float32"
        )

    def create_model_card(self, *_args: Any, **_kwargs: Any) -> None:
        """The `report` stage writes the card."""
