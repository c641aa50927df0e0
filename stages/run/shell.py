"""What every stage process does around its `main`: quiet libraries, plain errors, no orphans."""

import atexit
import ctypes
import errno
import gc
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NoReturn

from stages.errors import BluePencilError, InputError, ParamsError

DVC_STATE = "DVC_SITE_CACHE_DIR"  # DVC's name of it, which goes before its setting core.site_cache_dir
FAILURES = "BLUEPENCIL_FAILURES"  # a folder, in which the first of several processes that fails leaves a file
PR_SET_PDEATHSIG = 1  # linux/prctl.h
# What to lower where memory runs out, by the stage.
LESS_MEMORY = {
    "reference": "lower rows.score_batch_size",
    "holdout": "lower rows.score_batch_size",
    "train": "lower train.per_device_train_batch_size and raise train.gradient_accumulation_steps as "
    "much, or "
    "set train.gradient_checkpointing true",
    "generate": "lower generate.batch_size",
    "mmlu": "lower mmlu.max_batch_tokens",
    "probe": "lower probe.batch_size",
}
DISK_IS_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
CANNOT_BE_USED = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
}

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",  # the hub source lifts this for itself, see model/checkpoint.py
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "TOKENIZERS_PARALLELISM": "false",  # forks in data loaders, and an order that may vary
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    # large tensors on huge pages: a training step takes an eighth of the page faults
    "THP_MEM_ALLOC_ENABLE": "1",
    # batches differ in length: blocks of a GPU's memory that grow leave fewer gaps between them
    "PYTORCH_ALLOC_CONF": "expandable_segments:True",
    # oneDNN and PyTorch's layer over it keep a kernel for each length of a batch that ever came, up to 1024
    # each and a gigabyte; one training step uses some thirty, and the next has other lengths
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
    "LRU_CACHE_CAPACITY": "64",
}


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage: a `BluePencilError` becomes its message on stderr and its exit code."""
    be_quiet_and_offline()
    end_quickly()
    if not sys.stderr.isatty():
        os.environ["TQDM_DISABLE"] = "1"  # libraries' bars would fill a log; stages.run.progress writes lines
    warnings.simplefilter("ignore", FutureWarning)  # libraries among themselves; versions are pinned
    die_with_parent()
    is_one_of_several = "LOCAL_RANK" in os.environ  # torchrun's word to a process that it started
    try:
        main()
    except Exception as error:
        if is_one_of_several:
            fail_at_once(error)
        exit_in_words(error)
        raise
    if is_one_of_several:
        leave_at_once(0)


def fail_at_once(error: Exception) -> NoReturn:
    """End one of several processes, and so the run: torchrun ends the others. The first gives its message."""
    message = in_words(error)
    said = "".join(traceback.format_exception(error)) if message is None else f"bluepencil: {message}"
    if _is_first_to_fail():
        print(said, file=sys.stderr)
    leave_at_once(1 if message is None else exit_code(error))


def _is_first_to_fail() -> bool:
    folder = os.environ.get(FAILURES)
    if folder is None or not Path(folder).is_dir():
        return True
    try:
        (Path(folder) / "first").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def leave_at_once(code: int) -> NoReturn:
    """Leave without Python's good-byes, in which torch may wait for the other processes, even for ever.

    See docs/decisions/0006-processes-leave-at-once.md.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def exit_in_words(error: Exception) -> None:
    """Exit with a message where the user can put `error` right; return where it is a bug, to be raised."""
    message = in_words(error)
    if message is not None:
        print(f"bluepencil: {message}", file=sys.stderr, flush=True)
        sys.exit(exit_code(error))


def exit_code(error: Exception) -> int:
    """Of a process that ends with `error`'s message."""
    return error.exit_code if isinstance(error, BluePencilError) else BluePencilError.exit_code


def in_words(error: Exception) -> str | None:
    """What is wrong and how to put it right; None where `error` is a bug."""
    if isinstance(error, BluePencilError):
        return str(error)
    if is_disk_full(error):
        what = str(error).splitlines()[0][:200]
        place = getattr(error, "filename", None) or Path.cwd()
        return (
            f"a file could not be written ({what}): the disk is full, or a limit on file size holds; "
            f"make room for {place} and run again. Nothing that was there before is lost"
        )
    if isinstance(error, OSError) and error.errno in CANNOT_BE_USED and error.filename:
        names = [Path(os.fsdecode(name)) for name in (error.filename2, error.filename) if name]
        return (
            f"{names[0]}: {error.strerror}; look at what stands there and who may write in its folder, or "
            "name another place. Nothing that was there before is lost"
        )
    way_out = LESS_MEMORY.get(Path(sys.argv[0]).stem, "lower the batch sizes in params.yaml")
    if type(error).__name__ == "OutOfMemoryError":  # PyTorch's, of a GPU
        return (
            f"out of GPU memory; {way_out}, and run again; `bluepencil doctor` says what fits, `nvidia-smi` "
            "whether another job holds the card"
        )
    if isinstance(error, MemoryError) or "not enough memory" in str(error) or "allocate memory" in str(error):
        return (
            f"this machine has no memory left; end other programs, or {way_out}, and run again; "
            "`bluepencil doctor` says what fits"
        )
    return None


def is_disk_full(error: BaseException) -> bool:
    """Does this error mean that there was no room for a file?

    Python's says so by its number, safetensors and tokenizers (both Rust) in their text, and torch.save
    only that its writer failed.
    """
    text = str(error)
    if isinstance(error, OSError):
        # tempfile tries every folder it knows, and then says only that it found none
        return error.errno in DISK_IS_FULL or "No usable temporary directory" in text
    return (
        any(f"os error {number}" in text for number in DISK_IS_FULL)
        or "PytorchStreamWriter" in text
        or "inline_container.cc" in text
    )


def be_quiet_and_offline() -> None:
    """Switch off telemetry, network look-ups and chatter of libraries, unless the user set them."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def end_quickly() -> None:
    """Have Python look for no garbage as it ends: with torch loaded that takes two seconds, for nothing."""
    atexit.register(gc.freeze)


def keep_dvc_state_private() -> None:
    """Have DVC keep its state where only this user can write, not in /var/tmp/dvc, where everybody can.

    DVC reads its state with `diskcache`, which unpickles (CVE-2025-69872): who can write it can run code
    """
    if os.environ.get(DVC_STATE):
        return
    folder = Path.home() / ".cache/bluepencil/dvc"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)  # fails where it is another user's
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be kept private ({error.strerror}); set {DVC_STATE} to a folder that only you "
            "can write"
        ) from error
    os.environ[DVC_STATE] = str(folder)


def die_with_parent() -> None:
    """Ask Linux to end this process when DVC dies: a killed `dvc repro` leaves its child running."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def model_argument(argv: Sequence[str]) -> Literal["base", "policy"]:
    """The one argument of a stage that runs once per model: `base` or `policy`."""
    if argv[1:] == ["base"]:
        return "base"
    if argv[1:] == ["policy"]:
        return "policy"
    raise ParamsError(f"a model is wanted, base or policy; got {' '.join(argv[1:]) or 'nothing'}")
