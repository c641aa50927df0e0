"""The card's clock and memory, for `benchmarks.gpu`."""

import gc
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import TrainerCallback

from stages.run.params import RuntimeParams

GIB = 2**30


def on_this_device(runtime: RuntimeParams) -> RuntimeParams:
    """bfloat16 on the card; where there is none, float32 on the processor, to try the code."""
    device, dtype = ("cuda", "bfloat16") if torch.cuda.is_available() else ("cpu", "float32")
    return runtime.model_copy(update={"device": device, "dtype": dtype})


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


def attempt(work: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """What `work` found, or its error; either way the card's memory is given back."""
    try:
        return work(*arguments)
    except (RuntimeError, ValueError, ImportError) as error:  # out of memory is a RuntimeError
        return {"error": f"{type(error).__name__}: {str(error)[:300]}"}
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
