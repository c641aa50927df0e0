"""Watches a training run: speaks of progress, warns when the chosen texts are unlearnt, seals checkpoints."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import TrainerCallback

from stages.logprobs.reference import ReferenceRow
from stages.run.params import TrainParams
from stages.run.progress import say
from stages.training.batching import n_repeated_pairs, pairs_per_step
from stages.training.checkpoints import seal_checkpoint
from stages.training.watch_rules import chosen_drops, collapsed

SECONDS_BETWEEN_LINES = 10.0
# The columns of data/train/log.csv: TRL's, and what `log_rows` adds.
LOGGED = (
    "step", "epoch", "loss", "learning_rate", "grad_norm", "rewards/chosen", "rewards/rejected",
    "rewards/margins", "rewards/accuracies", "logps/chosen", "logps/rejected", "entropy",
    "chosen_drop", "chosen_collapsed",
)  # fmt: skip


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
        pairs_per_second = n_steps * pairs_per_step(args) / (now - self.start)
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
            seal_checkpoint(Path(args.output_dir) / f"checkpoint-{state.global_step}")

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
        window = state.log_history[-self.train.chosen_drop_window :]  # the whole log grows with every line
        rows = [] if self.has_warned else self.log_rows(window)
        if rows and rows[-1]["chosen_collapsed"]:
            self.has_warned = True
            say(
                f"train: warning: at step {state.global_step} the chosen texts are less likely than under "
                f"the base by {rows[-1]['chosen_drop']:.2f} nats a token (train.chosen_drop_limit "
                f"{self.train.chosen_drop_limit}, mean of {self.train.chosen_drop_window} log lines): the "
                "policy unlearns both texts; raise train.beta, lower train.learning_rate, or add sft to "
                "train.loss_type"
            )
