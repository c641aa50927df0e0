"""The order in which training reads pairs: shuffled anew each epoch, similar lengths side by side."""

from collections.abc import Sequence
from typing import Any

from stages.files.hashing import digest

STEPS_PER_WINDOW = 16  # lengths are sorted within a window, so steps still differ from epoch to epoch


def epoch_order(
    names: Sequence[str], lengths: Sequence[int], *, n_per_step: int, seed: int, epoch: int
) -> list[int]:
    """A permutation of all indices whose chunks of `n_per_step` have similar lengths, longest first.

    Shuffle by hash, sort by length inside windows of `STEPS_PER_WINDOW` steps, then shuffle the steps.
    The last, possibly short, step stays last. Depends on the arguments only: however a step is cut into
    batches, by memory or over processes, it learns from the same pairs.
    """
    salt = f"{seed}/{epoch}"
    shuffled = sorted(range(len(names)), key=lambda index: digest(salt, names[index]))
    window = n_per_step * STEPS_PER_WINDOW
    steps = []
    for start in range(0, len(shuffled), window):
        ordered = sorted(shuffled[start : start + window], key=lambda index: -lengths[index])
        steps += [ordered[first : first + n_per_step] for first in range(0, len(ordered), n_per_step)]
    whole = [step for step in steps if len(step) == n_per_step]
    short = [step for step in steps if len(step) < n_per_step]
    whole.sort(key=lambda step: digest(salt, "batch", names[step[0]]))
    return [index for step in whole + short for index in step]


def n_repeated_pairs(n_pairs: int, *, batch_size: int, n_processes: int) -> int:
    """Pairs read twice in an epoch so that every process gets the same number of full batches.

    Accelerate's `even_batches`; one process reads each pair once and has a short last batch instead.
    """
    return 0 if n_processes == 1 else -n_pairs % (batch_size * n_processes)


def pairs_per_step(args: Any) -> int:
    """Pairs of one optimizer step by transformers' `TrainingArguments`, over all batches and processes."""
    n_pairs: int = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
    return n_pairs
