"""`train` with FSDP2 over two CPU processes: the curve and the policy of one process, also after a kill."""

import csv
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig

from stages import reference, train
from stages.files.io import sha256_file
from stages.run import paths
from tests.support.tiny_models import CONFIGS, SHAPE
from tests.support.tiny_project import make_project, run_module, set_train

# Adam divides a gradient by its own size, so a gradient that is all rounding may step by the learning rate.
CLOSE = 1e-4
pytestmark = pytest.mark.slow
FULL = {"method": "full", "learning_rate": 1e-3}


def read_log(project: Path, name: str) -> list[float]:
    with (project / "data/train/log.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file)]


def train_in_one_process(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The losses; afterwards `project` wants two processes that share the weights."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("BLUEPENCIL_CHECKPOINTS", str(project / "checkpoints"))
    reference.main()
    train.main()
    losses = read_log(project, "loss")
    (project / "data/train/log.csv").unlink()
    shard(project)
    return losses


def shard(project: Path) -> None:
    set_train(project, accelerate_config="sizes/accelerate/two_cpu_fsdp2.yaml", gradient_accumulation_steps=1)


def same_weights(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(
        torch.allclose(one[name], two[name], rtol=0, atol=CLOSE) for name in one
    )


def test_all_weights_shared_by_two_processes_end_as_in_one_also_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a tied head is one weight under two names, of which one is saved
    monkeypatch.setitem(CONFIGS, "llama", LlamaConfig(**SHAPE, tie_word_embeddings=True))
    weights = make_project(tmp_path, train=FULL) / paths.POLICY_MODEL / "model.safetensors"
    one = train_in_one_process(tmp_path, monkeypatch)
    policy_of_one = load_file(weights)

    whole = run_module(tmp_path, "tests.support.sharded_train")
    assert whole.returncode == 0, whole.stderr
    assert len(one) == 8
    assert read_log(tmp_path, "loss") == pytest.approx(one, abs=1e-4)
    assert same_weights(policy_of_one, load_file(weights))
    uninterrupted = sha256_file(weights)
    weights.unlink()

    killed = run_module(tmp_path, "tests.support.sharded_train", KILL_AT_STEP="4")
    assert killed.returncode != 0
    assert not weights.exists()
    (shards,) = (tmp_path / "checkpoints").glob("*/checkpoint-3/pytorch_model_fsdp_0")
    assert len(list(shards.glob("*.distcp"))) == 2  # each process wrote its own part
    resumed = run_module(tmp_path, "tests.support.sharded_train")

    assert resumed.returncode == 0, resumed.stderr
    assert "train: resumed at step 3 of 8" in resumed.stderr
    assert sha256_file(weights) == uninterrupted
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_an_adapter_over_shared_weights_ends_as_in_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = make_project(tmp_path) / paths.POLICY_MODEL / "adapter_model.safetensors"
    one = train_in_one_process(tmp_path, monkeypatch)
    policy_of_one = load_file(adapter)

    done = run_module(tmp_path, "tests.support.sharded_train")

    assert done.returncode == 0, done.stderr
    assert read_log(tmp_path, "loss") == pytest.approx(one, abs=1e-4)
    assert same_weights(policy_of_one, load_file(adapter))


def test_log_probs_are_not_rounded_where_bfloat16_weights_are_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(tmp_path, n_train=4, train=FULL | {"num_train_epochs": 1.0})
    params = (tmp_path / "params.yaml").read_text().replace("dtype: float32", "dtype: bfloat16")
    (tmp_path / "params.yaml").write_text(params)
    monkeypatch.chdir(tmp_path)
    reference.main()
    shard(tmp_path)

    done = run_module(tmp_path, "tests.support.sharded_train")

    assert done.returncode == 0, done.stderr
    # the first step has a learning rate of 0 before it: policy and reference are the same, -log(1/2) is left
    assert read_log(tmp_path, "loss")[0] == pytest.approx(math.log(2), abs=1e-5)
