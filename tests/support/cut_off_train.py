"""`train`, cut off after some steps and started again; launches itself in as many processes as wanted."""

from pathlib import Path
from typing import Any

from stages import train
from stages.run import processes
from stages.run.params import load_params
from stages.run.shell import run_stage

CUT_OFF_AT_STEP = 5


class CutOff(Exception):  # noqa: N818 - an event, not a mistake
    pass


def main() -> None:
    params = load_params()
    processes.start_training(
        Path(params.processes.accelerate_config), params.runtime, module="tests.support.cut_off_train"
    )

    import torch

    from stages.training.pair_trainer import PairTrainer

    step = PairTrainer.training_step

    def step_or_cut_off(self: PairTrainer, *args: Any, **kwargs: Any) -> Any:
        if self.state.global_step == CUT_OFF_AT_STEP:
            raise CutOff
        return step(self, *args, **kwargs)

    PairTrainer.training_step = step_or_cut_off  # type: ignore[method-assign]
    try:
        train.main()
    except CutOff:
        PairTrainer.training_step = step  # type: ignore[method-assign]
        train.main()
    # a group ended while DDP still holds it may never end, see docs/decisions/0006-processes-leave-at-once.md
    assert torch.distributed.is_initialized()


if __name__ == "__main__":
    run_stage(main)
