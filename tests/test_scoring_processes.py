"""Stages that only run the model, over two processes: the bytes of one, or nothing."""

import os
import sys
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig

from stages import questions
from stages.errors import ModelError, ParamsError
from stages.files.io import sha256_file, write_json, write_jsonl
from stages.files.pairs import Prompt
from stages.model import device
from stages.model.checkpoint import base_sha256
from stages.run import accelerate_config, paths, processes
from stages.run.params import Params, load_params
from tests.support.score_in_processes import STAGES
from tests.support.tiny_models import CONFIGS, SHAPE, tiny_model, write_tiny_base
from tests.support.tiny_project import ROOT, change_params, make_project, run_module

WRITTEN = [
    paths.REFERENCE_LOGPS, paths.MARGINS, paths.generations("policy"), paths.mmlu_answers("policy"),
    paths.probe_rows("policy"),
]  # fmt: skip
TWO = "sizes/accelerate/two_cpu_processes.yaml"


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pairs, prompts, a tiny base and a policy that is not its base; one process."""
    monkeypatch.setitem(CONFIGS, "llama", LlamaConfig(**SHAPE | {"max_position_embeddings": 2048}))
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    policy = get_peft_model(
        tiny_model(), LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
    )
    policy.save_pretrained(paths.POLICY_MODEL)
    write_json(paths.POLICY_MODEL / "manifest.json", {"base_sha256": base_sha256(paths.BASE_MODEL)})
    write_jsonl(
        paths.VALIDATED_PROMPTS,
        [Prompt(prompt_id=f"q{n}", prompt="About " + "grants " * n, synthetic=True) for n in range(1, 10)],
    )
    change_params(
        tmp_path,
        generate={"n_prompts": 9, "batch_size": 2, "max_new_tokens": 6},
        mmlu={"max_batch_tokens": 600},
        size={"n_questions": 20},
        probe={"batch_size": 5, "max_new_tokens": 4},
    )
    questions.main()
    return tmp_path


def test_two_processes_write_the_bytes_of_one(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for stage, model in STAGES:
        monkeypatch.setattr(sys, "argv", ["stage", *([model] if model else [])])
        stage.main()
    of_one = {path: sha256_file(path) for path in WRITTEN}
    for path in WRITTEN:
        path.unlink()
    change_params(project, processes={"accelerate_config": TWO})

    done = run_module(project, "tests.support.score_in_processes")

    assert done.returncode == 0, done.stderr
    assert {path: sha256_file(path) for path in WRITTEN} == of_one


@pytest.mark.slow
def test_a_killed_process_ends_the_stage_and_nothing_is_written(project: Path) -> None:
    change_params(project, processes={"accelerate_config": TWO})
    done = run_module(project, "tests.support.score_in_processes", SECOND_PROCESS="is killed")
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if line.startswith("bluepencil:")] == [
        "bluepencil: process 1 was killed (SIGKILL), so the others were ended, and nothing is written; where "
        "memory runs out, Linux kills: see `dmesg`, then run again"
    ]
    assert "Traceback" not in done.stderr
    assert not paths.REFERENCE_LOGPS.exists()


@pytest.mark.slow
def test_where_memory_runs_out_one_process_names_the_parameter(project: Path) -> None:
    change_params(project, processes={"accelerate_config": TWO})
    done = run_module(project, "tests.support.score_in_processes", SECOND_PROCESS="has no memory")
    assert done.returncode == 2
    assert done.stderr.count("bluepencil:") == 1
    assert "out of GPU memory; lower rows.score_batch_size, and run again" in done.stderr
    assert "Traceback" not in done.stderr
    assert not paths.REFERENCE_LOGPS.exists()


def on_cuda(config: str) -> Params:
    params = load_params(ROOT / "params.yaml")
    runtime = params.runtime.model_copy(update={"device": "cuda", "dtype": "bfloat16"})
    file = str(ROOT / f"sizes/accelerate/{config}.yaml")
    return params.model_copy(
        update={
            "runtime": runtime,
            "processes": params.processes.model_copy(update={"accelerate_config": file}),
        }
    )


@pytest.fixture(name="programs")
def _programs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Eight cards that are not there; what this process would become."""
    became: list[list[str]] = []

    def n_visible() -> int:  # as CUDA counts them
        return len(os.environ.get("CUDA_VISIBLE_DEVICES", "0,1,2,3,4,5,6,7").split(","))

    monkeypatch.setattr(os, "execv", lambda _path, arguments: became.append(arguments[3:]))
    monkeypatch.setattr(accelerate_config, "card_names", lambda: ["H200"] * n_visible())
    monkeypatch.setattr("torch.cuda.device_count", n_visible)
    monkeypatch.setattr(sys, "argv", ["stage", "policy"])
    for name in ("CUDA_VISIBLE_DEVICES", "GLOO_SOCKET_IFNAME", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "set, so that it is as before afterwards")
        monkeypatch.delenv(name)
    return became


def test_one_process_sees_one_of_eight_cards(programs: list[list[str]]) -> None:
    params = on_cuda("one_process")
    processes.start_scoring(params, module="stages.generate")
    assert (programs, os.environ["CUDA_VISIBLE_DEVICES"]) == ([], "0")
    assert torch.cuda.device_count() == 1
    os.environ["CUDA_VISIBLE_DEVICES"] = "5,6"
    processes.start_training(Path(params.processes.accelerate_config), params.runtime, module="stages.train")
    assert (programs, os.environ["CUDA_VISIBLE_DEVICES"]) == ([], "5")


@pytest.mark.parametrize("config", ["ddp", "fsdp2", "zero3"])
def test_all_of_eight_cards_are_used_where_the_config_says_so(
    programs: list[list[str]], config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())  # deepspeed, if it were there
    processes.start_scoring(on_cuda(config), module="stages.generate")
    assert programs == [["torchrun", "--standalone", "--nproc-per-node=8", "-m", "stages.generate", "policy"]]
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_more_processes_than_cards_are_refused(programs: list[list[str]]) -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = "0,1"
    with pytest.raises(ParamsError, match="8 wanted on this machine, it has 2 CUDA devices"):
        processes.start_scoring(on_cuda("ddp"), module="stages.generate")
    assert programs == []


def test_cards_of_two_kinds_are_refused(programs: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerate_config, "card_names", lambda: ["H200"] * 6 + ["A100"] * 2)
    with pytest.raises(ParamsError, match=r"2 kinds \(6 x H200, 2 x A100\).*set CUDA_VISIBLE_DEVICES"):
        processes.start_scoring(on_cuda("ddp"), module="stages.generate")
    assert programs == []


def test_processes_on_a_cpu_have_cores_of_their_own(
    programs: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More threads than cores would be slow, fewer threads a process would give other bytes."""
    params = load_params(ROOT / "params.yaml")
    config = params.processes.model_copy(update={"accelerate_config": str(ROOT / TWO)})
    runtime = params.runtime.model_copy(update={"n_threads": 2})
    monkeypatch.setattr(processes, "n_cores", lambda: 3)
    both = params.model_copy(update={"processes": config, "runtime": runtime})
    processes.start_scoring(both, module="stages.generate")
    assert programs == []
    monkeypatch.setattr(processes, "n_cores", lambda: 4)
    processes.start_scoring(both, module="stages.generate")
    assert "--nproc-per-node=2" in programs[0]


def test_a_card_that_another_job_holds_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n_weights = sum(weight.numel() for weight in tiny_model().parameters())
    write_tiny_base(tmp_path / "base")
    assert device.count_weights(tmp_path / "base") == n_weights
    runtime = on_cuda("ddp").runtime
    monkeypatch.setattr("torch.cuda.current_device", lambda: 3)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "H200")
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (2 * n_weights, 2**37))
    device.refuse_full_card(tmp_path / "base", runtime)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (2 * n_weights - 1, 2**37))
    with pytest.raises(ModelError, match=r"card 3 \(H200\) has 0.0 of 128.0 GiB free.*CUDA_VISIBLE_DEVICES"):
        device.refuse_full_card(tmp_path / "base", runtime)


@pytest.mark.parametrize(
    ("cuda", "said", "words"),
    [
        (None, "", "is a build without CUDA; install the same version"),
        ("13.0", "The NVIDIA driver on your system is too old (found version 12040).", "driver 580 or newer"),
        ("13.0", "Found no NVIDIA driver on your system.", "no NVIDIA driver is installed"),
        ("13.0", "No CUDA GPUs are available", "the driver shows no card"),
        ("13.0", "CUDA unknown error", r"CUDA does not start \(CUDA unknown error\)"),
    ],
)
def test_no_cuda_is_told_apart(
    cuda: str | None, said: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError(said)

    monkeypatch.setattr("torch.version.cuda", cuda)
    monkeypatch.setattr("torch.cuda.init", fail)
    with pytest.raises(ModelError, match=f"runtime.device is cuda, but .*{words}.* or set cpu"):
        device.use_threads(on_cuda("one_process").runtime)
