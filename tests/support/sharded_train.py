"""`train` with FSDP2, failing where a second model is loaded; killed at the step `KILL_AT_STEP`, if there is one."""

import os
import signal
from pathlib import Path
from typing import Any, NoReturn

from stages import train
from stages.run import processes
from stages.run.params import load_params
from stages.run.shell import run_stage


def refuse_second_model(*_args: Any, **_kwargs: Any) -> NoReturn:
    raise AssertionError("a second model is loaded, though the reference log-probs are there")


def main() -> None:
    params = load_params()
    processes.start_training(
        Path(params.processes.accelerate_config), params.runtime, module="tests.support.sharded_train"
    )

    from torch.distributed.fsdp import FSDPModule
    from trl.trainer import dpo_trainer

    from stages.training.pair_trainer import PairTrainer

    step = PairTrainer.training_step

    def step_or_die(self: PairTrainer, *args: Any, **kwargs: Any) -> Any:
        assert isinstance(self.model, FSDPModule), "the model is not sharded"
        if str(self.state.global_step) == os.environ.get("KILL_AT_STEP"):
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, *args, **kwargs)

    PairTrainer.training_step = step_or_die  # type: ignore[method-assign]
    dpo_trainer.create_model_from_path = refuse_second_model
    train.main()


if __name__ == "__main__":
    run_stage(main)
