"""The card's clock and memory, for `benchmarks.gpu`."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import TrainerCallback

from stages.params import RuntimeParams

GIB = 2**30


def on_this_device(runtime: RuntimeParams) -> RuntimeParams:
    """bfloat16 on the card; where there is none, float32 on the processor, to try the code."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    changes: dict[str, Any] = {"device": device, "dtype": "bfloat16" if device == "cuda" else "float32"}
    if device == "cuda":
        changes["score_batch_size"] = max(runtime.score_batch_size, 4)
    return runtime.model_copy(update=changes)


def now() -> float:
    """The clock, once the card has done all it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def reset_peak() -> None:
    """Begin to look for a peak of memory."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peaks() -> dict[str, float]:
    """GiB: most that tensors had, and most that torch had taken from the card."""
    if not torch.cuda.is_available():
        return {"peak_gib": 0.0, "reserved_gib": 0.0}
    return {
        "peak_gib": torch.cuda.max_memory_allocated() / GIB,
        "reserved_gib": torch.cuda.max_memory_reserved() / GIB,
    }


def torch_memory() -> float:
    """Bytes of tensors on the card now."""
    return float(torch.cuda.memory_allocated()) if torch.cuda.is_available() else 0.0


@contextmanager
def freed_afterwards() -> Iterator[None]:
    """Give the card's memory back after a try, whether or not it worked."""
    try:
        yield
    finally:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


class Stopwatch(TrainerCallback):
    """When each optimizer step ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_args: Any, **_kwargs: Any) -> None:
        """Look at the clock."""
        self.ends.append(now())
