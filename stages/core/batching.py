"""The order in which training reads pairs: shuffled anew each epoch, similar lengths side by side."""

from collections.abc import Sequence

from stages.core.hashing import digest

BATCHES_PER_WINDOW = 16  # lengths are sorted within a window, so batches still differ from epoch to epoch


def epoch_order(
    names: Sequence[str], lengths: Sequence[int], *, batch_size: int, seed: int, epoch: int
) -> list[int]:
    """A permutation of all indices whose consecutive `batch_size` chunks have similar lengths.

    Shuffle by hash, sort by length inside windows of `BATCHES_PER_WINDOW` batches, then shuffle the
    batches. The last, possibly short, batch stays last. Depends on names, lengths, seed and epoch only.
    """
    salt = f"{seed}/{epoch}"
    shuffled = sorted(range(len(names)), key=lambda index: digest(salt, names[index]))
    window = batch_size * BATCHES_PER_WINDOW
    batches = []
    for start in range(0, len(shuffled), window):
        ordered = sorted(shuffled[start : start + window], key=lambda index: -lengths[index])
        batches += [ordered[first : first + batch_size] for first in range(0, len(ordered), batch_size)]
    whole = [batch for batch in batches if len(batch) == batch_size]
    short = [batch for batch in batches if len(batch) < batch_size]
    whole.sort(key=lambda batch: digest(salt, "batch", names[batch[0]]))
    return [index for batch in whole + short for index in batch]


def n_repeated_pairs(n_pairs: int, *, batch_size: int, n_processes: int) -> int:
    """Pairs read twice in an epoch so that every process gets the same number of full batches.

    Accelerate's `even_batches`; one process reads each pair once and has a short last batch instead.
    """
    return 0 if n_processes == 1 else -n_pairs % (batch_size * n_processes)
