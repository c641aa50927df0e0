"""Training checkpoints: outside the repository, one folder per run, one process at a time.

The folder's name is a hash of everything that determines the run, so a checkpoint is never
continued by another run; it is removed once the policy is written. Each checkpoint is sealed with
the hashes of its files, so one that was cut off or damaged is recognised and never loaded.
"""

import fcntl
import importlib.metadata
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from stages.errors import InputError, RuntimeCheckError
from stages.files.hashing import hex_digest
from stages.files.io import read_json, sha256_file, write_json
from stages.files.json_text import dump_json
from stages.run.params import RowsParams, RuntimeParams, TrainParams
from stages.run.processes import is_main_process, n_processes
from stages.run.progress import say
from stages.run.shell import is_disk_full
from stages.training.groups import share_from_main

COMPLETE = "complete.json"  # written last; a checkpoint without it was cut off while saving
ABANDONED_AFTER_DAYS = 30
LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate")
# The warning marks lines of the log and changes no weight.
WATCHING = {"chosen_drop_limit", "chosen_drop_window"}


def run_key(
    train: TrainParams, runtime: RuntimeParams, rows: RowsParams, *, n_train: int, inputs: list[Path]
) -> str:
    """Hash of parameters, input files and library versions: equal keys, equal runs."""
    values = {
        "train": train.model_dump(exclude=WATCHING),
        "runtime": runtime.model_dump(),
        "rows": rows.model_dump(),
        "n_train": n_train,
        "n_processes": n_processes(),
        "inputs": {path.as_posix(): sha256_file(path) for path in inputs},
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }
    return hex_digest(dump_json(values))[:20]


@contextmanager
def checkpoint_folder(key: str) -> Iterator[Path]:
    """The run's folder, locked while in use and removed after success; kept after a failure.

    A full disk while it is in use is a RuntimeCheckError that says so.
    """
    root = Path(os.environ.get("BLUEPENCIL_CHECKPOINTS") or Path.home() / ".cache/bluepencil/checkpoints")
    folder = (root / key).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not is_main_process():  # the first process locks and removes for all
        yield folder
        return
    remove_abandoned(root, besides=key)
    with (root / f"{key}.lock").open("w") as lock:
        if not _take(lock):
            raise RuntimeCheckError(
                f"train: another process is training this very run ({folder}); wait for it, or end it"
            )
        try:
            yield folder
        except Exception as error:
            if not is_disk_full(error):
                raise
            raise RuntimeCheckError(
                f"train: a file could not be written ({str(error).splitlines()[0][:200]}): the disk is full, "
                f"or a limit on file size holds; make room for {folder} and models/. Nothing is lost: "
                "the next run goes on from the last whole checkpoint"
            ) from error
        shutil.rmtree(folder)
        (root / f"{key}.lock").unlink(missing_ok=True)


def remove_abandoned(root: Path, *, besides: str) -> None:
    """Remove, aloud, what runs left that never ended: no lock is held, no file is newer than 30 days."""
    for folder in sorted(root.iterdir()):
        is_a_run = re.fullmatch("[0-9a-f]{20}", folder.name) and folder.is_dir() and not folder.is_symlink()
        if not is_a_run or folder.name == besides:
            continue
        try:
            newest = max(path.lstat().st_mtime for path in [folder, *folder.rglob("*")])
        except FileNotFoundError:  # its run ends at this moment
            continue
        n_days = (time.time() - newest) / 86400
        if n_days > ABANDONED_AFTER_DAYS:
            with (root / f"{folder.name}.lock").open("w") as lock:
                if _take(lock):
                    shutil.rmtree(folder)
                    Path(lock.name).unlink()
                    say(f"train: {folder} is removed: a run left it {n_days:.0f} days ago and never went on")


def _take(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def seal_checkpoint(checkpoint: Path) -> None:
    """Write `COMPLETE`, last: the hash of every file of a finished checkpoint."""
    write_json(checkpoint / COMPLETE, _hashes(checkpoint))


def last_whole_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is as it was sealed; those cut off or damaged are removed, aloud."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]), reverse=True)
    for checkpoint in found:
        problem = _what_is_wrong(checkpoint)
        if problem is None:
            return checkpoint
        say(f"train: {checkpoint.name} {problem}; it is removed, and the one before it used, if any")
        shutil.rmtree(checkpoint)
    return None


def _what_is_wrong(checkpoint: Path) -> str | None:
    if not (checkpoint / COMPLETE).exists():
        return "was cut off while it was written"
    try:
        sealed = read_json(checkpoint / COMPLETE)
    except InputError:
        return f"has a damaged {COMPLETE}"
    now = _hashes(checkpoint)
    damaged = sorted(name for name in sealed if now.get(name) != sealed[name])
    return f"is damaged ({', '.join(damaged)} changed since it was written)" if damaged else None


def _hashes(checkpoint: Path) -> dict[str, str]:
    # with several processes each writes its own rng_state_<rank>.pth, in its own time
    files = (path for path in sorted(checkpoint.rglob("*")) if path.is_file() and path.name != COMPLETE)
    return {
        path.relative_to(checkpoint).as_posix(): sha256_file(path)
        for path in files
        if not path.name.startswith("rng_state_")
    }


def where_to_resume(folder: Path) -> Path | None:
    """`last_whole_checkpoint` as the first process sees it; RuntimeCheckError where another cannot see it."""
    found = share_from_main(last_whole_checkpoint(folder) if is_main_process() else None)
    if found is not None and not found.exists():
        raise RuntimeCheckError(
            f"train: checkpoint {found} is not on this machine; with several machines set "
            "BLUEPENCIL_CHECKPOINTS to a folder that all of them share"
        )
    return found
