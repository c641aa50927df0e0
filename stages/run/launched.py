"""The program that a stage in several processes becomes: it starts them, and ends as the first that fails.

`python -m stages.run.launched accelerate ...` is `accelerate launch ...`; with `torchrun` it is torchrun.
Both end all processes when one fails or dies.
"""

import logging
import os
import signal
import sys
import tempfile

from stages.run.shell import FAILURES, be_quiet_and_offline

FAILED = 2  # of a process that died without a code


def main() -> None:
    """Start the processes and wait for them."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    be_quiet_and_offline()
    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # the process that failed has spoken
    program = sys.argv.pop(1)
    with tempfile.TemporaryDirectory(prefix="bluepencil_") as folder:
        os.environ[FAILURES] = folder
        try:
            _start(program)
        except ChildFailedError as error:
            number, failure = error.get_first_failure()
            sys.exit(_exit_code(number, failure.exitcode))
        except SignalException as error:
            sys.exit(128 + error.sigval)


def _start(program: str) -> None:
    if program == "accelerate":
        from accelerate.commands.launch import main as launch

        launch()
    else:
        from torch.distributed import run

        run.main()


def _exit_code(number: int, code: int) -> int:
    """A process's own exit code; one that was killed could say nothing, so it is said here."""
    if code >= 0:
        return code
    print(
        f"bluepencil: process {number} was killed ({signal.Signals(-code).name}), so the others were "
        "ended, and nothing is written; where memory runs out, Linux kills: see `dmesg`, then run again",
        file=sys.stderr,
    )
    return FAILED


if __name__ == "__main__":
    main()
