"""A finished repository, small enough to make in a test: real git, DVC, models, study, gates and pages.

Nothing is run by DVC: the stages that need hours are stood in for by tiny random models and made-up
metrics, and `dvc commit` records all of it in dvc.lock as if it had been.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from dvc.repo import Repo
from peft import LoraConfig, get_peft_model

from stages import gate, generate, probe_summary, report, winrate, writing
from stages.cli.study.reveal import reveal
from stages.files.io import sha256_file, write_json, write_jsonl
from stages.files.pairs import Prompt, SplitPair
from stages.run import paths
from stages.study.folder import current_study_id
from stages.study.opening import open_study
from tests.support.decision_factory import (
    ROOT,
    item_row,
    make_params,
    metrics_documents,
    write,
    write_plot_tables,
)
from tests.support.probe_factory import make_rows
from tests.support.study_factory import hand_in, prefers
from tests.support.tiny_models import tiny_model, write_tiny_base

N_PROMPTS = 8
PENDING = {
    "status": "pending",
    "reason": "No study is open.",
    "n_ballots_expected": 3,
    "n_ballots_received": 0,
    "n_synthetic": 0,
}
MANIFEST = {
    "source": "path",
    "name": "tiny",
    "revision": "local",
    "licence": "apache-2.0",
    "n_parameters": 40000,
    "files": {"model.safetensors": "a" * 64},
}


def name_committer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git's identity for tests, whatever the machine's is."""
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "ada@example.org")


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, check=True, text=True)
    return done.stdout


def commit(message: str) -> None:
    """Record the workspace in dvc.lock and in git."""
    with Repo() as repo:
        repo.commit(force=True)
    git("add", "-A")
    git("commit", "-qm", message)


def make_repository(folder: Path, monkeypatch: pytest.MonkeyPatch, *, is_subfolder: bool = False) -> None:
    """Everything real and passing: run, study opened, ballots in, revealed, judged; committed step by step.

    As a subfolder it lies in the repository of several teams, which is its parent.
    """
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    name_committer(monkeypatch)
    git("init", "-q", "-b", "main", str(folder.parent if is_subfolder else folder))
    with Repo.init(subdir=is_subfolder):
        pass
    write_pipeline()
    write_models()
    write_data()
    for model in ("base", "policy"):
        monkeypatch.setattr(sys, "argv", ["generate", model])
        generate.main()
    write_metrics()
    judge()
    commit("Run the pipeline")

    open_study(continues="")
    git("add", "-A")
    git("commit", "-qm", "Open the study")

    study_id = current_study_id()
    hand_in(study_id, dict.fromkeys(("ann", "ben", "cem"), prefers("we will test")))
    reveal(despite_missing="")
    winrate.main()
    judge()
    commit("Decide")


def judge() -> None:
    gate.main()
    report.main()


def write_pipeline() -> None:
    """The repository's own stages without their code deps, and parameters for tiny models."""
    pipeline: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    pipeline.pop("plots", None)
    cached = []
    for stage in pipeline["stages"].values():
        stage["deps"] = [dep for dep in stage["deps"] if not dep.startswith("stages/")]
        for out in stage.get("outs", []):
            name = out if isinstance(out, str) else next(iter(out))
            if isinstance(out, str):
                cached += [name.replace("${item.model}", model) for model in ("base", "policy")]
    write(Path("dvc.yaml"), yaml.safe_dump(pipeline))
    write(Path(".gitignore"), "".join(f"/{name}\n" for name in [*sorted(set(cached)), "secrets", "releases"]))
    params = make_params()
    params["data"]["prompts"] = "data/raw/prompts.jsonl"
    params["generate"].update(n_prompts=N_PROMPTS, max_new_tokens=8, batch_size=4)
    params["study"].update(n_repeats=2, min_repeat_distance=3, secret_path="secrets")
    params["release"]["n_parity_rows"] = 3
    params["runtime"]["n_threads"] = 1
    write(Path("params.yaml"), yaml.safe_dump(params))
    for kept in ("data/raw/base_model", "data/raw/mmlu", "data/ballots", "study"):
        write(Path(kept) / ".gitkeep", "")


def write_models() -> None:
    write_tiny_base(Path("models/base"))
    write_json(Path("models/base/manifest.json"), MANIFEST)
    write_adapter(Path("models/policy"))


def write_adapter(
    folder: Path, *, base: Path = Path("models/base"), size: float = 0.05, seed: int = 1
) -> None:
    """A LoRA adapter of random weights, so that it changes what the model says."""
    base_model = tiny_model()
    torch.manual_seed(seed)
    model = get_peft_model(base_model, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=size)
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink()
    write_json(
        folder / "manifest.json", {"method": "lora", "base_sha256": sha256_file(base / "manifest.json")}
    )


def make_split_pair(number: int) -> SplitPair:
    return SplitPair(
        pair_id=f"t{number:03d}",
        prompt=f"Write about reading room {number}.",
        chosen=f"The grant funds reading room {number} for children.",
        rejected=f"Room {number} is nice.",
        editor=None,
        group_id=None,
        section=None,
        reviewed_at=None,
        chosen_shown=None,
        synthetic=False,
        component_id=f"c{number:03d}",
    )


def write_data() -> None:
    prompts = [
        Prompt(prompt_id=row["prompt_id"], prompt=row["prompt"], synthetic=False)
        for row in map(item_row, range(N_PROMPTS))
    ]
    pairs = [make_split_pair(number) for number in range(12)]
    write_jsonl(Path("data/raw/prompts.jsonl"), prompts)
    write_jsonl(Path("data/raw/pairs.jsonl"), pairs)
    write_jsonl(Path("data/validate/prompts.jsonl"), prompts)
    write_jsonl(Path("data/validate/pairs.jsonl"), pairs)
    write_jsonl(Path("data/split/train.jsonl"), pairs[:6])
    write_jsonl(Path("data/split/selection.jsonl"), pairs[6:8])
    write_jsonl(Path("data/split/holdout.jsonl"), pairs[8:])
    lines = "".join(json.dumps(item_row(number)) + "\n" for number in range(N_PROMPTS))
    write(Path("data/blind/items.jsonl"), lines)
    write(Path("data/winrate/prompts.csv"), "prompt_id,score\n")
    write_plot_tables(Path("data"), is_judged=False)
    stand_ins = [
        "validate/violations.jsonl",
        "validate/report.html",
        "split/report.html",
        "labels/doubt.jsonl",
        "reference/logps.parquet",
    ]
    stand_ins += [
        "questions/items.jsonl",
        "train/log.csv",
        "holdout/margins.jsonl",
        "mmlu/base.jsonl",
        "mmlu/policy.jsonl",
    ]
    write(Path("data/kept/.gitkeep"), "")
    write(Path("data/curve/.gitkeep"), "")
    for name in [*stand_ins, "capability/by_category.csv"]:
        write(Path("data") / name, f"stands in for {name}\n")
    shutil.copytree(ROOT / "sizes/accelerate", "sizes/accelerate")
    Path("data/sample").mkdir()
    shutil.copy(ROOT / "data/sample/anchors.jsonl", "data/sample/anchors.jsonl")


def write_metrics() -> None:
    write_json(paths.LABELS_METRICS, {"labels": {"n_doubtful": 0}})
    for name, document in metrics_documents(winrate={"winrate": PENDING}).items():
        write_json(Path(f"metrics/{name}.json"), document)
    for model in ("base", "policy"):
        write_jsonl(paths.probe_rows(model), make_rows())
    probe_summary.main()
    writing.main()


def change_yaml(path: str, name: str, value: Any) -> None:
    """Set one dotted name of a YAML file."""
    document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    *above, last = name.split(".")
    part = document
    for key in above:
        part = part[key]
    part[last] = value
    Path(path).write_text(yaml.safe_dump(document), encoding="utf-8")
