"""Training in several processes: Accelerate starts them; here a process finds out which one it is.

`dvc.yaml` always says `python -m stages.train`. Where the file that `processes.accelerate_config` names wants
more than a plain process, this one becomes `accelerate launch --config_file FILE -m stages.train`.
"""

import importlib.util
import os
import socket
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from stages.errors import ModelError, ParamsError
from stages.files.io import read_text
from stages.files.yaml_text import parse_yaml, show
from stages.run.params import RuntimeParams

Value = TypeVar("Value")

ONE_PROCESS = "NO"
WAY_OUT = "name another in params.yaml; sizes/accelerate/ has examples, `accelerate config` writes one"
LAUNCHED = {"MULTI_GPU", "FSDP", "DEEPSPEED"}  # Accelerate's names of what torchrun starts
SHARDED = {"FSDP", "DEEPSPEED"}


def is_main_process() -> bool:
    """Whether this process writes outs and speaks: the only one, or the first of several."""
    return os.environ.get("RANK", "0") == "0"


def n_processes() -> int:
    """Processes that train together, over all machines."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def start(config: Path, runtime: RuntimeParams, *, module: str) -> None:
    """Turn this process into `accelerate launch`, unless one process is wanted or it is launched already.

    The new program keeps the process id, so ending this one ends all that it started.
    """
    if "LOCAL_RANK" in os.environ:  # torchrun's word to a process it started
        return
    if read_config(config)["distributed_type"] == ONE_PROCESS:
        return
    check_config(config, runtime)
    os.environ.setdefault("OMP_NUM_THREADS", str(runtime.n_threads))
    if read_config(config).get("num_machines", 1) == 1:
        # gloo would bind to whatever address the host's name resolves to: slow, or gone while the run lasts
        os.environ.setdefault("GLOO_SOCKET_IFNAME", _loopback())
    launch = ["-m", "accelerate.commands.launch", "--config_file", str(config), "-m", module]
    os.execv(sys.executable, [sys.executable, *launch])  # noqa: S606 - no shell is wanted


def read_config(path: Path) -> dict[str, Any]:
    """An Accelerate config with `distributed_type`; ParamsError where the file is none."""
    try:
        config = parse_yaml(read_text(path))
    except ValueError as error:
        raise ParamsError(
            f"processes.accelerate_config: {path} is not readable as YAML: {error}\n  mend it, or {WAY_OUT}"
        ) from error
    if not isinstance(config, dict) or not isinstance(config.get("distributed_type"), str | bool):
        raise ParamsError(f"processes.accelerate_config: {path} names no distributed_type; {WAY_OUT}")
    if config["distributed_type"] is False:  # YAML 1.1 reads a bare NO as false
        config["distributed_type"] = ONE_PROCESS
    return config


def check_config(path: Path, runtime: RuntimeParams) -> None:
    """ParamsError that lists what in the config cannot work here; ModelError for a missing package."""
    config = read_config(path)
    problems = [*_unknown_keys(config), *_misfits(config, runtime)]
    if problems:
        raise ParamsError(f"processes.accelerate_config: {path} cannot be used\n  " + "\n  ".join(problems))
    if config["distributed_type"] == "DEEPSPEED" and importlib.util.find_spec("deepspeed") is None:
        raise ModelError(
            f"processes.accelerate_config: {path} needs the package deepspeed, which is not installed; "
            "`pip install deepspeed`, or use sizes/accelerate/fsdp2.yaml, which needs no package"
        )


def meet_processes(*, on_cpu: bool, patience_seconds: int) -> None:
    """Join the others on CPUs; one that waits longer than `patience_seconds` for another then fails.

    On GPUs transformers does it, with `ddp_timeout`, which on CPUs it forgets.
    """
    if on_cpu and n_processes() > 1:
        from accelerate import PartialState

        PartialState(cpu=True, timeout=timedelta(seconds=patience_seconds))


def shard_on_cpus() -> None:
    """Where the config says FSDP, shard over CPUs too; Accelerate, left alone, runs DDP there without a word.

    It gives FSDP only to processes that it knows as MULTI_GPU and the like (`AcceleratorState.__init__`).
    To be called once transformers has its settings: making them, it forgets the state that it finds.
    """
    if os.environ.get("ACCELERATE_USE_FSDP") != "true":
        return
    from accelerate import PartialState
    from accelerate.utils import DistributedType

    state = PartialState()
    if state.distributed_type == DistributedType.MULTI_CPU:
        state.distributed_type = DistributedType.MULTI_GPU


def share_from_main(value: Value) -> Value:
    """The first process's `value`, in every process."""
    if n_processes() == 1:
        return value
    from accelerate.utils import broadcast_object_list

    box: list[Any] = broadcast_object_list([value], from_process=0)
    return box[0]  # type: ignore[no-any-return]


def _loopback() -> str:
    return next(name for _, name in socket.if_nameindex() if name.startswith("lo"))


def _unknown_keys(config: dict[str, Any]) -> list[str]:
    from accelerate.commands.config.config_args import ClusterConfig

    unknown = sorted({str(key) for key in config} - set(ClusterConfig.__dataclass_fields__))
    return [f"{key}: Accelerate knows no such key" for key in unknown]


def _misfits(config: dict[str, Any], runtime: RuntimeParams) -> list[str]:
    kind, on_cpu = config["distributed_type"], runtime.device == "cpu"
    wanted, machines = config.get("num_processes"), config.get("num_machines", 1)
    problems = []
    if kind not in LAUNCHED:
        problems.append(
            f"distributed_type: {kind} is none of {', '.join(sorted({*LAUNCHED, ONE_PROCESS}))}; for "
            "processes on CPUs write MULTI_GPU with use_cpu: true, because Accelerate starts MULTI_CPU "
            "through MPI only"
        )
    if not all(type(number) is int and number > 0 for number in (wanted, machines)):  # True is an int, too
        return [
            *problems,
            f"num_processes and num_machines: whole numbers from 1, came {wanted!r}, {machines!r}",
        ]
    if kind == "MULTI_GPU" and wanted == 1:
        problems.append(
            "num_processes: MULTI_GPU needs 2 or more; for one use sizes/accelerate/one_process.yaml"
        )
    if bool(config.get("use_cpu", False)) != on_cpu:
        problems.append(f"use_cpu: must be {str(on_cpu).lower()} where runtime.device is {runtime.device}")
    if kind == "DEEPSPEED" and on_cpu:
        problems.append(f"distributed_type: {kind} shards over GPUs only; set runtime.device cuda")
    if kind in SHARDED and runtime.quantization != "none":
        problems.append(
            f"distributed_type: {kind} and runtime.quantization nf4 do not go together; use ddp.yaml"
        )
    if config.get("mixed_precision", "no") != "no":
        problems.append("mixed_precision: must be 'no' here, because runtime.dtype says it for every stage")
    for name in ("fsdp_config", "deepspeed_config"):
        if not isinstance(config.get(name) or {}, dict):
            return [*problems, f"{name}: a mapping was expected, came {show(config[name])}"]
    fsdp = config.get("fsdp_config") or {}
    if kind == "FSDP" and fsdp.get("fsdp_version", 1) != 2:
        problems.append("fsdp_config.fsdp_version: must be 2, the one that is tested")
    if kind == "FSDP" and fsdp.get("fsdp_cpu_ram_efficient_loading", True):
        problems.append(
            "fsdp_config.fsdp_cpu_ram_efficient_loading: must be false, because every process checks before "
            "the first step that its policy equals the base"
        )
    if not on_cpu and wanted // machines > _n_cards():
        problems.append(
            f"num_processes: {wanted // machines} wanted on this machine, it has {_n_cards()} CUDA devices"
        )
    return problems


def _n_cards() -> int:
    import torch

    return int(torch.cuda.device_count())
