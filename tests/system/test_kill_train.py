"""Training ended with SIGKILL at any moment goes on and gives the same bytes."""

from pathlib import Path

import pytest

from benchmarks.kill_train import ADAPTER, SMALL, build_run, start_training, wait_for_checkpoint
from stages.files.io import sha256_file
from stages.train import main as train_stage


@pytest.mark.slow
def test_a_killed_process_goes_on_and_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = SMALL | {"size": {"n_train": 60}}
    folder = build_run(tmp_path, few)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BLUEPENCIL_CHECKPOINTS", str(tmp_path / "others"))
    train_stage()
    whole = sha256_file(folder / ADAPTER)
    (folder / ADAPTER).unlink()

    process = start_training(folder)
    wait_for_checkpoint(folder, process)
    process.kill()
    assert process.wait() != 0, "it had ended before it was killed"
    assert not (folder / ADAPTER).exists()

    monkeypatch.setenv("BLUEPENCIL_CHECKPOINTS", str(folder / "checkpoints"))
    capsys.readouterr()
    train_stage()

    assert sha256_file(folder / ADAPTER) == whole
    said = capsys.readouterr().err
    assert "resumed at step" in said or "was cut off" in said
    assert not list((folder / "checkpoints").iterdir())
