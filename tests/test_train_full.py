"""`train.method full`, from training to every stage that loads the policy."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from stages import holdout, reference, train
from stages.files.io import read_json, read_jsonl
from stages.inference.generation.sampling import generate_completions
from stages.inference.mmlu.lm_eval import wrap_model
from stages.logprobs.margins import MarginRow
from stages.model.checkpoint import load_model, load_tokenizer
from stages.model.rendering import render_prompt
from stages.run import paths
from stages.run.params import load_params
from tests.support.tiny_project import make_project, set_train


def test_all_weights_are_trained_saved_and_loaded_by_the_stages_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(tmp_path, train={"method": "full", "learning_rate": 1e-3})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BLUEPENCIL_CHECKPOINTS", str(tmp_path / "checkpoints"))
    reference.main()
    train.main()
    holdout.main()

    base = load_file(paths.BASE_MODEL / "model.safetensors")
    policy = load_file(paths.POLICY_MODEL / "model.safetensors")
    assert base.keys() == policy.keys()
    assert all(not torch.equal(base[name], policy[name]) for name in base if "proj" in name)
    assert read_json(paths.POLICY_MODEL / "manifest.json")["method"] == "full"
    assert not (paths.POLICY_MODEL / "adapter_config.json").exists()
    assert all(row.margin != 0 for row in read_jsonl(paths.MARGINS, MarginRow))

    runtime = load_params().runtime
    model = load_model(paths.BASE_MODEL, paths.POLICY_MODEL, runtime)
    tokenizer = load_tokenizer(paths.BASE_MODEL)
    assert all(torch.equal(model.state_dict()[name], weight) for name, weight in policy.items())
    completions = generate_completions(
        model, tokenizer, [render_prompt(tokenizer, "Write.")], [1],
        max_new_tokens=3, temperature=0.0, top_p=1.0, batch_size=1, label="generate",
    )  # fmt: skip
    assert len(completions) == 1
    assert wrap_model(model, tokenizer, max_batch_tokens=64).model is model


def test_small_steps_are_not_lost_in_bfloat16(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stages.training import dpo
    from stages.training.pair_trainer import PairTrainer

    make_project(
        tmp_path, n_train=4, train={"method": "full", "learning_rate": 1e-6, "num_train_epochs": 1.0}
    )
    params_file = tmp_path / "params.yaml"
    params_file.write_text(params_file.read_text().replace("dtype: float32", "dtype: bfloat16"))
    params_file.write_text(
        params_file.read_text().replace("margin_tolerance: 0.001", "margin_tolerance: 5.0")
    )
    set_train(tmp_path, per_device_train_batch_size=2, gradient_accumulation_steps=1, warmup_steps=0.0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BLUEPENCIL_CHECKPOINTS", str(tmp_path / "checkpoints"))
    seen: list[torch.dtype] = []
    run = dpo.train_policy

    def run_and_look(trainer: PairTrainer, *, resume_from: Path | None) -> None:
        before = {name: weight.clone().float() for name, weight in trainer.model.named_parameters()}
        run(trainer, resume_from=resume_from)
        seen.append(trainer.model.dtype)
        assert all(not torch.equal(weight, before[name]) for name, weight in trainer.model.named_parameters())

    monkeypatch.setattr(dpo, "train_policy", run_and_look)
    reference.main()
    train.main()
    assert seen == [torch.float32]
    assert load_file(paths.POLICY_MODEL / "model.safetensors")["model.norm.weight"].dtype == torch.bfloat16
