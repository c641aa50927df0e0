"""Training checkpoints: outside the repository, one folder per run, one process at a time.

The folder's name is a hash of everything that determines the run, so a checkpoint is never
continued by another run; it is removed once the policy is written.
"""

import fcntl
import importlib.metadata
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.adapters.launch import is_main_process, n_processes, share_from_main
from stages.core.hashing import hex_digest
from stages.errors import RuntimeCheckError
from stages.io import dump_json, sha256_file
from stages.params import RuntimeParams, TrainParams

LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate")


def run_key(train: TrainParams, runtime: RuntimeParams, *, n_train: int, inputs: list[Path]) -> str:
    """Hash of parameters, input files and library versions: equal keys, equal runs."""
    values = {
        "train": train.model_dump(exclude={"save_steps"}),  # how often to save changes no result
        "runtime": runtime.model_dump(),
        "n_train": n_train,
        "n_processes": n_processes(),
        "inputs": {path.as_posix(): sha256_file(path) for path in inputs},
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }
    return hex_digest(dump_json(values))[:20]


@contextmanager
def checkpoint_folder(key: str) -> Iterator[Path]:
    """The run's folder, locked while in use and removed after success; kept after a failure."""
    root = Path(os.environ.get("BLUEPENCIL_CHECKPOINTS") or Path.home() / ".cache/bluepencil/checkpoints")
    folder = (root / key).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not is_main_process():  # the first process locks and removes for all
        yield folder
        return
    with (root / f"{key}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RuntimeCheckError(
                f"train: another process is training this very run ({folder}); wait for it, or end it"
            ) from error
        yield folder
        shutil.rmtree(folder)
        (root / f"{key}.lock").unlink(missing_ok=True)


def last_whole_checkpoint(folder: Path, marker: str) -> Path | None:
    """The newest checkpoint that was written to its end; those cut off are removed."""
    whole = []
    for checkpoint in folder.glob("checkpoint-*"):
        if (checkpoint / marker).exists():
            whole.append(checkpoint)
        else:
            shutil.rmtree(checkpoint)
    return max(whole, key=lambda checkpoint: int(checkpoint.name.split("-")[1]), default=None)


def where_to_resume(folder: Path, marker: str) -> Path | None:
    """`last_whole_checkpoint` as the first process sees it; RuntimeCheckError where another cannot see it."""
    found = share_from_main(last_whole_checkpoint(folder, marker) if is_main_process() else None)
    if found is not None and not found.exists():
        raise RuntimeCheckError(
            f"train: checkpoint {found} is not on this machine; with several machines set "
            "BLUEPENCIL_CHECKPOINTS to a folder that all of them share"
        )
    return found
