"""What becomes of an error at the edge of a process."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stages.errors import InputError, ParamsError, ReleaseError
from stages.run.shell import exit_in_words, keep_dvc_state_private, model_argument


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (InputError("pairs.jsonl: is empty"), 2, "bluepencil: pairs.jsonl: is empty"),
        (ReleaseError("release refused"), 1, "release refused"),
        (OSError(errno.ENOSPC, "No space left on device", "data/x.json"), 2, "make room for data/x.json"),
        (OSError(errno.EFBIG, "File too large"), 2, "the disk is full, or a limit on file size"),
        (
            FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"),
            2,
            "disk is full",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "metrics/x.json"),
            2,
            "metrics/x.json: Permission",
        ),
        (IsADirectoryError(errno.EISDIR, "Is a directory", ".tmp", None, "data"), 2, "data: Is a directory"),
        (MemoryError(), 2, "no memory left"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"), 2, "no memory left"),
    ],
)
def test_what_a_user_can_mend_ends_in_words(
    error: Exception, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        exit_in_words(error)
    assert end.value.code == code
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("error", [ValueError("a bug"), OSError(errno.ENOENT, "No such file", "x")])
def test_a_bug_is_left_to_show_its_traceback(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    exit_in_words(error)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("does", "code", "words"),
    [
        ("raise RuntimeCheckError('the loss is nan')", 2, "bluepencil: the loss is nan"),
        ("raise ValueError('a bug')", 1, "ValueError: a bug"),
        ("print('all is well', file=sys.stderr)", 0, "all is well"),
    ],
)
def test_one_of_several_processes_leaves_at_once_with_its_message(does: str, code: int, words: str) -> None:
    program = f"""
import atexit, os, sys, time
from stages.errors import RuntimeCheckError
from stages.run.shell import run_stage
os.environ["LOCAL_RANK"] = "1"
atexit.register(time.sleep, 3600)  # as torch waits, for processes that wait for this one
def main(): {does}
run_stage(main)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == code
    assert words in done.stderr


@pytest.mark.parametrize("arguments", [[], ["reference"], ["base", "policy"]])
def test_a_stage_of_two_models_wants_exactly_one_of_them(arguments: list[str]) -> None:
    with pytest.raises(ParamsError, match="a model is wanted, base or policy; got"):
        model_argument(["stage", *arguments])
    assert model_argument(["stage", "policy"]) == "policy"


def test_dvcs_state_lies_where_only_its_user_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", "")
    (tmp_path / ".cache/bluepencil/dvc").mkdir(mode=0o777, parents=True)
    keep_dvc_state_private()
    state = Path(os.environ["DVC_SITE_CACHE_DIR"])
    assert state == tmp_path / ".cache/bluepencil/dvc"
    assert state.stat().st_mode & 0o777 == 0o700
    asked = "from dvc.dirs import site_cache_dir; print(site_cache_dir(None))"  # what DVC makes of it
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(state)


def test_a_home_that_cannot_hold_dvcs_state_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".cache").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", "")
    with pytest.raises(InputError, match="cannot be kept private .*; set DVC_SITE_CACHE_DIR"):
        keep_dvc_state_private()


def test_a_place_that_the_user_chose_for_dvcs_state_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", "/somewhere")
    keep_dvc_state_private()
    assert os.environ["DVC_SITE_CACHE_DIR"] == "/somewhere"


GARBAGE = """
from stages.run.shell import run_stage

class Loop:
    def __init__(self):
        self.me = self
    def __del__(self):
        print("collected")

run_stage(Loop)
"""


def test_a_stage_ends_without_looking_for_garbage() -> None:
    """With torch loaded, that takes two seconds."""
    ran = subprocess.run([sys.executable, "-c", GARBAGE], capture_output=True, text=True, check=True)
    assert ran.stdout == ""
