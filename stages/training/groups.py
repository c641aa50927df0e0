"""The group of processes that train together: how it is made, and what its first process tells the others."""

import os
from datetime import timedelta
from typing import Any, TypeVar

from stages.run.processes import n_processes

Value = TypeVar("Value")


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
