"""The device of a stage: its threads, why there is no CUDA, and whether a card has room for the weights."""

import os
from pathlib import Path
from typing import Any

from stages.errors import ModelError
from stages.run.params import RuntimeParams

GIB = 2**30
# QLoRA's 4 bits and constants, were all weights in them: a lower bound.
NF4_BYTES = 0.52


def use_threads(runtime: RuntimeParams) -> None:
    """Fix the device and the thread count: sums over another number of threads may differ in the last bit.

    ModelError where CUDA is wanted and not here. Of several processes each has the card of its number.
    """
    import torch

    if runtime.device == "cuda":
        reason = why_no_cuda()
        if reason is not None:
            raise ModelError(f"runtime.device is cuda, but {reason}; or set cpu (`bluepencil size default`)")
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if torch.get_num_threads() != runtime.n_threads:
        torch.set_num_threads(runtime.n_threads)


def why_no_cuda() -> str | None:
    """What keeps PyTorch from a CUDA device, and the way out; None where it has one."""
    import torch

    if torch.version.cuda is None:
        return (
            f"this PyTorch ({torch.__version__}) is a build without CUDA; install the same version from "
            "PyTorch's index for your driver's CUDA (pytorch.org, Get Started, has the command)"
        )
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        return _in_words(str(error), torch.__version__, torch.version.cuda)
    return None


def _in_words(said: str, version: str, cuda: str) -> str:
    """The three things that `torch.cuda.init` complains of, told apart by its words."""
    if "too old" in said:
        return (
            f"the NVIDIA driver is too old for this PyTorch ({version}, CUDA {cuda}): CUDA 13 needs "
            "driver 580 or newer, CUDA 12.6 driver 560; update the driver, or install the build for an older "
            f"CUDA from PyTorch's index (cu126 and others); {said.splitlines()[0][:200]}"
        )
    if "no NVIDIA driver" in said:
        return "no NVIDIA driver is installed, or this container does not see it (docker run --gpus all)"
    if "No CUDA GPUs" in said:
        return (
            "the driver shows no card; see `nvidia-smi`, and CUDA_VISIBLE_DEVICES, which is "
            f"{os.environ.get('CUDA_VISIBLE_DEVICES', 'not set')}"
        )
    return f"CUDA does not start ({said.splitlines()[0][:200]}); see `nvidia-smi`"


def refuse_full_card(folder: Path, runtime: RuntimeParams) -> None:
    """ModelError where this process's card has less memory free than the weights in `folder` take."""
    if runtime.device != "cuda":
        return
    import torch

    element = NF4_BYTES if runtime.quantization == "nf4" else getattr(torch, runtime.dtype).itemsize
    wanted = element * count_weights(folder)
    free, total = torch.cuda.mem_get_info()
    if wanted > free:
        raise ModelError(
            f"card {torch.cuda.current_device()} ({torch.cuda.get_device_name()}) has {free / GIB:.1f} of "
            f"{total / GIB:.1f} GiB free, and the weights alone take {wanted / GIB:.1f} on each card; if "
            "another job holds it (`nvidia-smi` names it), wait, or set CUDA_VISIBLE_DEVICES to free cards; "
            "if not, the model is too large: `bluepencil doctor` says what fits"
        )


def count_weights(folder: Path) -> int:
    """Weights of a safetensors checkpoint, from its headers."""
    from safetensors import safe_open

    n_weights = 0
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            reader: Any = tensors
            for name in reader.keys():  # noqa: SIM118 - no mapping
                n_of_tensor = 1
                for length in reader.get_slice(name).get_shape():
                    n_of_tensor *= length
                n_weights += n_of_tensor
    return n_weights
