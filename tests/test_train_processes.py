"""`train` in two processes: the curve of one, also when it was cut off; what cannot be launched is refused."""

import csv
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import reference, train
from stages.errors import ModelError, ParamsError
from stages.run import accelerate_config, processes
from stages.run.params import RuntimeParams, load_params
from stages.training.batching import n_repeated_pairs
from tests.support.tiny_project import ROOT, make_project, run_module, set_train

CONFIGS = ROOT / "sizes/accelerate"
ON_CPU = load_params(ROOT / "params.yaml").runtime
ON_CUDA = ON_CPU.model_copy(update={"device": "cuda", "dtype": "bfloat16"})


def losses(project: Path) -> list[float]:
    with (project / "data/train/log.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.mark.slow
def test_two_processes_cut_off_and_resumed_have_the_curve_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BLUEPENCIL_CHECKPOINTS", str(tmp_path / "checkpoints"))
    reference.main()
    train.main()
    one = losses(tmp_path)
    (tmp_path / "data/train/log.csv").unlink()
    set_train(
        tmp_path, accelerate_config="sizes/accelerate/two_cpu_processes.yaml", gradient_accumulation_steps=1
    )

    done = run_module(tmp_path, "tests.support.cut_off_train")

    assert done.returncode == 0, done.stderr
    assert "train: resumed at step 3 of 8" in done.stderr
    assert done.stderr.count("before the first step the policy equals the base") == 2  # one process speaks
    assert len(one) == 8
    assert losses(tmp_path) == pytest.approx(one, abs=1e-4)
    assert (tmp_path / "models/policy/adapter_model.safetensors").exists()
    assert list((tmp_path / "checkpoints").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("second_process", "words"),
    [
        ("fails", "bluepencil: the second process found something wrong"),
        ("has no memory", "bluepencil: out of GPU memory; lower"),
        ("is silent", "Timed out waiting"),
    ],
)
def test_a_process_that_fails_or_falls_silent_ends_the_run(
    second_process: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(tmp_path, n_train=8)
    monkeypatch.chdir(tmp_path)
    reference.main()
    set_train(tmp_path, accelerate_config="sizes/accelerate/two_cpu_processes.yaml", save_steps=1)

    done = run_module(tmp_path, "tests.support.one_fails_train", SECOND_PROCESS=second_process)

    assert done.returncode != 0
    assert done.stderr.count(words) == 1
    assert not (tmp_path / "models/policy").exists()
    assert list((tmp_path / "checkpoints").glob("*/checkpoint-1/complete.json"))  # and it can go on


@pytest.mark.parametrize(
    ("n_pairs", "n_processes", "repeated"), [(8, 2, 0), (9, 2, 3), (7, 2, 1), (9, 1, 0), (1, 4, 7)]
)
def test_pairs_are_read_twice_only_to_fill_the_last_batches(
    n_pairs: int, n_processes: int, repeated: int
) -> None:
    assert n_repeated_pairs(n_pairs, batch_size=2, n_processes=n_processes) == repeated


def test_the_stage_turns_itself_into_accelerate_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    programs: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _path, arguments: programs.append(arguments))
    config = CONFIGS / "two_cpu_processes.yaml"
    processes.start_training(CONFIGS / "one_process.yaml", ON_CPU, module="stages.train")
    assert programs == []
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    processes.start_training(config, ON_CPU, module="stages.train")
    assert os.environ["GLOO_SOCKET_IFNAME"].startswith("lo")  # nothing asks for the host's own address
    assert programs == [
        [
            sys.executable,
            "-m",
            "stages.run.launched",
            "accelerate",
            "--config_file",
            str(config),
            "-m",
            "stages.train",
        ]
    ]
    monkeypatch.setenv("LOCAL_RANK", "1")
    processes.start_training(config, ON_CPU, module="stages.train")
    assert len(programs) == 1


def changed(tmp_path: Path, name: str, change: Callable[[dict[str, Any]], Any]) -> Path:
    config = yaml.safe_load((CONFIGS / name).read_text())
    change(config)
    (tmp_path / name).write_text(yaml.safe_dump(config))
    return tmp_path / name


@pytest.mark.parametrize(
    ("name", "change", "runtime", "words"),
    [
        ("ddp.yaml", lambda config: config, ON_CPU, ["use_cpu: must be true where runtime.device is cpu"]),
        ("fsdp2.yaml", lambda config: config, ON_CPU, ["use_cpu: must be true where runtime.device is cpu"]),
        ("fsdp2.yaml", lambda config: config["fsdp_config"].pop("fsdp_version"), ON_CPU, ["must be 2"]),
        ("zero2.yaml", lambda config: config, ON_CPU, ["DEEPSPEED shards over GPUs only"]),
        ("two_cpu_processes.yaml", lambda config: config, ON_CUDA, ["use_cpu: must be false"]),
        ("ddp.yaml", lambda config: config, ON_CUDA, ["num_processes: 8 wanted on this machine, it has 0"]),
        ("ddp.yaml", lambda config: config.update(num_proceses=2), ON_CPU, ["num_proceses", "no such key"]),
        ("ddp.yaml", lambda config: config.update(num_processes="two"), ON_CPU, ["whole numbers from 1"]),
        ("ddp.yaml", lambda config: config.update(distributed_type="MULTI_CPU"), ON_CPU, ["use_cpu: true"]),
        ("ddp.yaml", lambda config: config.update(mixed_precision="bf16"), ON_CPU, ["runtime.dtype says it"]),
        ("fsdp2.yaml", lambda config: config.pop("fsdp_config"), ON_CPU, ["ram_efficient_loading"]),
        ("ddp.yaml", lambda config: config.pop("distributed_type"), ON_CPU, ["names no distributed_type"]),
    ],
)
def test_a_config_that_cannot_work_is_refused_before_anything_starts(
    tmp_path: Path,
    name: str,
    change: Callable[[dict[str, Any]], Any],
    runtime: RuntimeParams,
    words: list[str],
) -> None:
    config = changed(tmp_path, name, change)
    with pytest.raises(ParamsError) as error:
        processes.start_training(config, runtime, module="stages.train")
    for word in [str(config), *words]:
        assert word in str(error.value)


def test_deepspeed_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerate_config, "card_names", lambda: ["H200"] * 8)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    for name in ("zero2.yaml", "zero3.yaml"):
        with pytest.raises(ModelError, match="needs the package deepspeed, which is not installed"):
            processes.start_training(CONFIGS / name, ON_CUDA, module="stages.train")


def test_every_shipped_config_could_start_on_eight_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerate_config, "card_names", lambda: ["H200"] * 8)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())
    for config in CONFIGS.glob("*.yaml"):
        kind = accelerate_config.read_config(config)["distributed_type"]
        if kind != accelerate_config.ONE_PROCESS:
            accelerate_config.check_config(config, ON_CPU if "cpu" in config.name else ON_CUDA)


def test_a_file_that_is_no_config_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("a: [")
    with pytest.raises(ParamsError, match="not readable as YAML"):
        accelerate_config.read_config(tmp_path / "config.yaml")
