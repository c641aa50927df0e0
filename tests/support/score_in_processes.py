"""Every stage that only runs the model, one after the other, in as many processes as wanted.

`SECOND_PROCESS` says what becomes of the second at its first batch: `is killed`, or `has no memory` as the first.
"""

import os
import signal
import sys
from typing import Any

import torch

from stages import generate, holdout, mmlu, probe, reference
from stages.run import processes
from stages.run.params import load_params
from stages.run.shell import run_stage

STAGES = [(reference, None), (holdout, None), (generate, "policy"), (mmlu, "policy"), (probe, "policy")]


def main() -> None:
    processes.start_scoring(load_params(), module="tests.support.score_in_processes")
    assert processes.n_processes() == 2
    assert torch.get_num_threads() == 1

    from stages.logprobs import scoring

    score_batch = scoring.score_batch

    def score_or_fail(*args: Any, **kwargs: Any) -> Any:
        event = os.environ.get("SECOND_PROCESS")
        if event == "is killed" and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        if event == "has no memory":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return score_batch(*args, **kwargs)

    scoring.score_batch = score_or_fail
    for stage, model in STAGES:
        sys.argv = [f"{stage.__name__.replace('.', '/')}.py", *([model] if model else [])]
        stage.main()
        torch.distributed.barrier()  # the first process has written what the next stage reads


if __name__ == "__main__":
    run_stage(main)
