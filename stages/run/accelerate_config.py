"""The Accelerate config that `processes.accelerate_config` names: how many processes, on which cards."""

import importlib.util
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.errors import ModelError, ParamsError
from stages.files.io import read_text
from stages.files.yaml_text import parse_yaml, show
from stages.run.params import RuntimeParams

ONE_PROCESS = "NO"
WAY_OUT = "name another in params.yaml; sizes/accelerate/ has examples, `accelerate config` writes one"
LAUNCHED = {"MULTI_GPU", "FSDP", "DEEPSPEED"}  # Accelerate's names of what torchrun starts
SHARDED = {"FSDP", "DEEPSPEED"}


def read_config(path: Path) -> dict[str, Any]:
    """An Accelerate config with `distributed_type`; ParamsError where the file is none."""
    try:
        config = parse_yaml(read_text(path))
    except ValueError as error:
        raise ParamsError(
            f"processes.accelerate_config: {path} is not readable as YAML: {error}\n  "
            f"correct it, or {WAY_OUT}"
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
            f"num_processes and num_machines: whole numbers from 1, got {wanted!r}, {machines!r}",
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
            return [*problems, f"{name}: a mapping was expected, got {show(config[name])}"]
    fsdp = config.get("fsdp_config") or {}
    if kind == "FSDP" and fsdp.get("fsdp_version", 1) != 2:
        problems.append("fsdp_config.fsdp_version: must be 2, the one that is tested")
    if kind == "FSDP" and fsdp.get("fsdp_cpu_ram_efficient_loading", True):
        problems.append(
            "fsdp_config.fsdp_cpu_ram_efficient_loading: must be false, because every process checks before "
            "the first step that its policy equals the base"
        )
    return problems if on_cpu else [*problems, *_card_problems(wanted // machines, card_names())]


def _card_problems(n_wanted: int, cards: Sequence[str]) -> list[str]:
    if n_wanted > len(cards):
        return [f"num_processes: {n_wanted} wanted on this machine, it has {len(cards)} CUDA devices"]
    kinds = Counter(cards[:n_wanted])
    if len(kinds) == 1:
        return []
    found = ", ".join(f"{n} x {name}" for name, n in kinds.items())
    return [
        f"num_processes: the cards are of {len(kinds)} kinds ({found}), and a result would depend on which "
        "card computes it; set CUDA_VISIBLE_DEVICES to cards of one kind, and num_processes to their number"
    ]


def card_names() -> list[str]:
    """The CUDA devices that this process sees, by name."""
    import torch

    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]


def n_local_processes(path: Path) -> int:
    """How many processes the config wants on this machine."""
    config = read_config(path)
    if config["distributed_type"] == ONE_PROCESS:
        return 1
    return int(config["num_processes"]) // int(config.get("num_machines", 1))
