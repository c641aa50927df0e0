"""Several processes for one stage: how they are started, which one this is, and how they share the work.

`dvc.yaml` always says `python -m stages.<stage>`. Where the file that `processes.accelerate_config` names
wants more than one process, this one becomes `stages.run.launched`, which starts them: for `train` by
`accelerate launch` with that file, for a stage that only runs the model by torchrun, each process with the
whole model. Such a stage deals out whole batches of the plan that one process has, so what it writes does
not depend on their number.
"""

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from stages.run.accelerate_config import ONE_PROCESS, check_config, n_local_processes, read_config
from stages.run.params import Params, RuntimeParams

Item = TypeVar("Item")
Key = TypeVar("Key")
Value = TypeVar("Value")

LONGEST_WAIT = timedelta(days=2)  # for the other processes' batches; of one that ends torchrun knows at once


def is_main_process() -> bool:
    """Whether this process writes outs and speaks: the only one, or the first of several."""
    return os.environ.get("RANK", "0") == "0"


def n_processes() -> int:
    """Processes that work together, over all machines."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_launched() -> bool:
    """Whether this is one of several processes; torchrun tells each its number."""
    return "LOCAL_RANK" in os.environ


def start_training(config: Path, runtime: RuntimeParams, *, module: str) -> None:
    """Turn this process into those that train together, unless one is wanted or it is one of them already.

    ParamsError, before anything starts, where the config cannot work here. The new program keeps the process
    id, so ending this one ends all that it started.
    """
    if is_launched():
        return
    if read_config(config)["distributed_type"] == ONE_PROCESS:
        see_one_card(runtime)
        return
    check_config(config, runtime)
    os.environ.setdefault("OMP_NUM_THREADS", str(runtime.n_threads))
    if read_config(config).get("num_machines", 1) == 1:
        use_loopback()
    _become("accelerate", "--config_file", str(config), "-m", module)


def start_scoring(params: Params, *, module: str) -> None:
    """The same for a stage that only runs the model, on cards of this machine, or on a CPU.

    There each process has `runtime.n_threads`, for the last bits depend on it; only as many run as have
    cores.
    """
    config, runtime = Path(params.processes.accelerate_config), params.runtime
    if is_launched():
        return
    if read_config(config)["distributed_type"] != ONE_PROCESS:
        check_config(config, runtime)
    n_wanted = n_local_processes(config)
    if runtime.device == "cpu":
        n_wanted = min(n_wanted, max(1, n_cores() // runtime.n_threads))
    if n_wanted == 1:
        see_one_card(runtime)
        return
    os.environ["OMP_NUM_THREADS"] = str(runtime.n_threads)
    use_loopback()
    _become("torchrun", "--standalone", f"--nproc-per-node={n_wanted}", "-m", module, *sys.argv[1:])


def see_one_card(runtime: RuntimeParams) -> None:
    """Hide all cards but the first: transformers' Trainer would cut each batch over all that it sees."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
    if runtime.device == "cuda":  # to be said before CUDA starts
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[0]


def share_threads(runtime: RuntimeParams) -> RuntimeParams:
    """`runtime` for one of several processes that train on CPUs: they share the threads.

    With more threads than cores they would wait for each other at every product.
    """
    n_local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun's word
    if runtime.device == "cuda" or n_local == 1:
        return runtime
    return runtime.model_copy(update={"n_threads": max(1, runtime.n_threads // n_local)})


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def deal(batches: Sequence[Item]) -> Sequence[Item]:
    """This process's part of the batches that one process would run, each of them whole."""
    return batches[int(os.environ.get("RANK", "0")) :: n_processes()]


def gather(done: Mapping[Key, Value]) -> dict[Key, Value]:
    """What all processes have done, in each of them; all must call it."""
    if n_processes() == 1:
        return dict(done)
    from torch import distributed

    if not distributed.is_initialized():
        distributed.init_process_group("gloo", timeout=LONGEST_WAIT)
    parts: list[dict[Key, Value]] = [{}] * n_processes()
    distributed.all_gather_object(parts, dict(done))
    return {key: value for part in parts for key, value in part.items()}


def use_loopback() -> None:
    """Gloo would bind to whatever address the host's name resolves to: slow, or gone while the run lasts."""
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)


def _become(*arguments: str) -> None:
    os.execv(sys.executable, [sys.executable, "-m", "stages.run.launched", *arguments])  # noqa: S606 - no shell
