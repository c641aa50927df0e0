"""What this machine has: memory, cards, disk, packages, and how fast it multiplies matrices."""

import importlib.util
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from stages.run.accelerate_config import card_names
from stages.run.params import RuntimeParams
from stages.sizing.memory import Machine

SECONDS_TO_MEASURE = 0.5
MATRIX = {"cpu": 1024, "cuda": 8192}  # large enough for the full rate
COPIED_BYTES = {"cpu": 2**27, "cuda": 2**30}


class Card(NamedTuple):
    """A GPU by its data sheet: memory in bytes, dense bfloat16 flop/s, memory bandwidth in bytes/s."""

    memory_bytes: float
    flops_per_second: float
    bytes_per_second: float


# NVIDIA's data sheets; the memory is a little below the name, as CUDA reports it free on an empty card.
CARDS = {
    "a10-24gb": Card(22.0 * 2**30, 125e12, 600e9),
    "l4-24gb": Card(22.0 * 2**30, 121e12, 300e9),
    "rtx4090-24gb": Card(23.5 * 2**30, 165e12, 1008e9),
    "a100-80gb": Card(79.0 * 2**30, 312e12, 2039e9),
    "h100-80gb": Card(79.0 * 2**30, 989e12, 3350e9),
    "h200-141gb": Card(139.0 * 2**30, 989e12, 4800e9),
}


class Hardware(NamedTuple):
    """The machine for the stages, what it is, and how many such devices there are."""

    machine: Machine
    name: str
    n_devices: int


def look_at_hardware(runtime: RuntimeParams, *, n_used: int) -> Hardware | None:
    """Free memory and measured rates of the device that `runtime` names; None where it is not here.

    Of several cards that are used the fullest counts.
    """
    if runtime.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            return None
        n_devices = torch.cuda.device_count()
        free = min(torch.cuda.mem_get_info(number)[0] for number in range(min(n_devices, n_used)))
        name = torch.cuda.get_device_name()
    else:
        free, n_devices = available_memory(), 1
        name = f"CPU, {runtime.n_threads} threads of {os.cpu_count()}"
    rates = measure_rates(runtime)
    return Hardware(Machine(float(free), rates.flops_per_second, rates.bytes_per_second), name, n_devices)


def hardware_of(card: str) -> Hardware:
    """A card that is not here, from its data sheet; large products reach about 0.7 of the sheet's rate."""
    sheet = CARDS[card]
    return Hardware(
        Machine(sheet.memory_bytes, 0.7 * sheet.flops_per_second, sheet.bytes_per_second),
        f"{card}, by its data sheet",
        1,
    )


class Rates(NamedTuple):
    """Of products of matrices, and of copying memory (read and write)."""

    flops_per_second: float
    bytes_per_second: float


def measure_rates(runtime: RuntimeParams) -> Rates:
    """Multiply square matrices in the runtime's dtype for half a second, then copy memory for a while.

    A CPU's float32 rate is numpy's: importing torch would take longer than all of `doctor`.
    """
    if runtime.device == "cpu" and runtime.dtype == "float32":
        return _measure_with_numpy(runtime.n_threads)
    import torch

    from stages.model.cpu import multiply

    if runtime.device == "cpu":
        torch.set_num_threads(runtime.n_threads)

    def wait() -> None:
        if runtime.device == "cuda":
            torch.cuda.synchronize()

    size = MATRIX[runtime.device]
    left = torch.rand(size, size, dtype=getattr(torch, runtime.dtype), device=runtime.device)
    block = torch.ones(COPIED_BYTES[runtime.device], dtype=torch.uint8, device=runtime.device)
    return _rates(size, lambda: multiply(left, left), block.nbytes, block.clone, wait)


def _measure_with_numpy(n_threads: int) -> Rates:
    import numpy as np
    from threadpoolctl import threadpool_limits

    size = MATRIX["cpu"]
    left = np.random.default_rng(0).random((size, size), dtype=np.float32)
    block = np.ones(COPIED_BYTES["cpu"], dtype=np.uint8)
    with threadpool_limits(n_threads):
        return _rates(size, lambda: left @ left, block.nbytes, block.copy, lambda: None)


def _rates(
    size: int,
    multiply: Callable[[], object],
    n_bytes: int,
    copy: Callable[[], object],
    wait: Callable[[], None],
) -> Rates:
    products = _repeats_per_second(multiply, SECONDS_TO_MEASURE, wait)
    copies = _repeats_per_second(copy, SECONDS_TO_MEASURE / 10, wait)
    return Rates(2 * size**3 * products, 2 * n_bytes * copies)


def _repeats_per_second(work: Callable[[], object], seconds: float, wait: Callable[[], None]) -> float:
    work()  # the first has one-off costs
    wait()
    start, n_done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        work()
        wait()
        n_done += 1
    return n_done / (time.perf_counter() - start)


def available_memory() -> int:
    """Bytes that new work can have, by the system's own estimate; the container's limit where it is lower."""
    import psutil

    return min(int(psutil.virtual_memory().available), _container_limit())


def _container_limit() -> int:
    limit = Path("/sys/fs/cgroup/memory.max")  # of Linux
    text = limit.read_text(encoding="ascii").strip() if limit.exists() else "max"
    return 2**63 if text == "max" else int(text)


def free_disk(path: Path) -> int:
    """Bytes free where `path` lies."""
    return shutil.disk_usage(path).free


def absent_packages(names: list[str]) -> list[str]:
    """Those of `names` that Python cannot import."""
    return [name for name in names if importlib.util.find_spec(name) is None]


def has_bfloat16() -> bool:
    """Whether the CUDA device computes in bfloat16 itself (Ampere and later)."""
    import torch

    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


class Cards(NamedTuple):
    """CUDA devices here, and of how many kinds."""

    n: int
    n_kinds: int


def count_cards() -> Cards:
    """None where CUDA does not start; `why_no_cards` says why."""
    names = [] if why_no_cards() else card_names()
    return Cards(len(names), len(set(names)))


def why_no_cards() -> str | None:
    """What keeps PyTorch from a CUDA device; None where it has one, or is not installed."""
    if importlib.util.find_spec("torch") is None:
        return None
    from stages.model.device import why_no_cuda

    return why_no_cuda()
