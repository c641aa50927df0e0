"""`train` in two processes, the second of which fails, falls silent or has no memory at a step; `SECOND_PROCESS` says which."""

import os
import time
from pathlib import Path
from typing import Any

from stages import train
from stages.errors import RuntimeCheckError
from stages.run import processes
from stages.run.params import load_params
from stages.run.shell import run_stage

AT_STEP = 1
PATIENCE_SECONDS = 30


def main() -> None:
    params = load_params()
    processes.start_training(
        Path(params.processes.accelerate_config), params.runtime, module="tests.support.one_fails_train"
    )

    import torch

    from stages.training import dpo
    from stages.training.pair_trainer import PairTrainer

    step = PairTrainer.training_step

    def step_or_fail(self: PairTrainer, *args: Any, **kwargs: Any) -> Any:
        if self.state.global_step == AT_STEP and os.environ["RANK"] == "1":
            if os.environ["SECOND_PROCESS"] == "fails":
                raise RuntimeCheckError("the second process found something wrong")
            if os.environ["SECOND_PROCESS"] == "has no memory":
                raise torch.OutOfMemoryError("CUDA out of memory")
            time.sleep(3600)
        return step(self, *args, **kwargs)

    PairTrainer.training_step = step_or_fail  # type: ignore[method-assign]
    dpo.LONGEST_WAIT_SECONDS = PATIENCE_SECONDS
    train.main()


if __name__ == "__main__":
    run_stage(main)
