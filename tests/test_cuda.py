"""What differs on a GPU: compiled flex attention, bfloat16, 4 bits, and a run that is killed there.

Skipped where no CUDA device is. `python -m pytest tests/test_cuda.py -rA` on a machine that has one.
"""

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from trl.trainer.dpo_trainer import DataCollatorForPreference
from trl.trainer.utils import add_fused_lm_head

from stages import holdout, reference, train
from stages.files.io import read_jsonl, sha256_file
from stages.logprobs.fast.layers import patch_layers
from stages.logprobs.margins import MarginRow
from stages.logprobs.shared_prefix import LARGEST_DIFFERENCE, add_shared_prefix
from stages.model.rendered import RenderedPair
from stages.run import paths
from stages.training.pair_trainer import PairTrainer
from tests.logprobs.fast.test_layers import N_PATCHED
from tests.support.tiny_models import CONFIGS, draw_norms, made_up_pairs, tiny_model
from tests.support.tiny_project import make_project

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]


def run(model: torch.nn.Module, pairs: list[RenderedPair]) -> torch.Tensor:
    """Log-probs of the pairs, in TRL's grid."""
    batch = DataCollatorForPreference(pad_token_id=1)([pair._asdict() for pair in pairs])
    batch = {name: values.cuda() for name, values in batch.items()}
    labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, -100)
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    output: torch.Tensor = model(**inputs, labels=labels, fused_lm_head=True, use_cache=False).log_probs
    return output


def on_card(name: str, attention: str, dtype: torch.dtype) -> Any:
    # flex attention's kernels take heads of 16 and wider
    model = tiny_model(name, attention=attention, head_dim=16).to("cuda", dtype)
    add_fused_lm_head(model)
    return model


@pytest.mark.parametrize("attention", ["sdpa", "flex_attention"])
@pytest.mark.parametrize("name", CONFIGS)
def test_shared_rows_have_the_log_probs_and_gradients_of_two_rows(name: str, attention: str) -> None:
    torch.backends.cuda.matmul.allow_tf32 = False
    stock, shared = (on_card(name, one, torch.float32) for one in ("sdpa", attention))
    assert add_shared_prefix(shared, outputs=("log_probs",))
    pairs = made_up_pairs(6)

    expected, came = run(stock, pairs), run(shared, pairs)

    torch.testing.assert_close(came, expected, atol=1e-3, rtol=1e-4)
    expected.sum().backward()
    came.sum().backward()
    for (label, one), (_, other) in zip(stock.named_parameters(), shared.named_parameters(), strict=True):
        assert one.grad is not None, label
        torch.testing.assert_close(other.grad, one.grad, atol=5e-3, rtol=1e-2)


@pytest.mark.parametrize("attention", ["sdpa", "flex_attention"])
@pytest.mark.parametrize("name", CONFIGS)
def test_in_bfloat16_shared_rows_differ_by_rounding_only(name: str, attention: str) -> None:
    exact, shared = on_card(name, "sdpa", torch.float32), on_card(name, attention, torch.bfloat16)
    assert add_shared_prefix(shared, outputs=("log_probs",))
    pairs = made_up_pairs(6)

    with torch.no_grad():
        difference = (run(shared, pairs).float() - run(exact, pairs)).abs().max().item()

    assert 0 < difference < 2 * LARGEST_DIFFERENCE[torch.bfloat16]


@pytest.mark.parametrize("name", N_PATCHED)
def test_lean_layers_have_the_logits_and_gradients_of_transformers(name: str) -> None:
    torch.backends.cuda.matmul.allow_tf32 = False
    models = [on_card(name, "sdpa", torch.float32) for _ in range(2)]
    for model in models:
        draw_norms(model)
    assert patch_layers(models[1]) == N_PATCHED[name]
    tokens = torch.arange(2, 26, device=models[0].device).view(2, 12)

    logits = [model(tokens).logits for model in models]

    torch.testing.assert_close(*logits, atol=1e-4, rtol=1e-4)
    for one in logits:
        one.square().mean().backward()
    for (label, one), (_, other) in zip(*(model.named_parameters() for model in models), strict=True):
        assert (one.grad is None) == (other.grad is None) == ("norm" in label), label
        if one.grad is not None:
            torch.testing.assert_close(other.grad, one.grad, atol=1e-5, rtol=1e-2)


@pytest.mark.parametrize("name", N_PATCHED)
def test_in_bfloat16_lean_layers_are_as_near_to_float32(name: str) -> None:
    exact, usual, lean = (on_card(name, "sdpa", torch.float32) for _ in range(3))
    for model in (exact, usual, lean):
        draw_norms(model)
    patch_layers(lean)
    usual, lean = usual.bfloat16(), lean.bfloat16()
    exact.load_state_dict(usual.state_dict())  # the same rounded weights
    tokens = torch.arange(2, 26, device=exact.device).view(2, 12)

    with torch.no_grad(), torch.autocast(tokens.device.type, dtype=torch.bfloat16):  # as TRL trains
        logits = [model(tokens).logits for model in (usual, lean)]
    assert logits[1].dtype == logits[0].dtype
    with torch.no_grad():
        truth = exact(tokens).logits
    distances = [(one.float() - truth).abs().mean().item() for one in logits]
    assert 0 < distances[1] < 1.2 * distances[0]


def make_cuda_project(folder: Path, **runtime: Any) -> Path:
    """`make_project` on the card, in bfloat16."""
    folder.mkdir(exist_ok=True)
    make_project(folder, train={"method": "qlora"} if runtime else None)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["runtime"] |= {"device": "cuda", "dtype": "bfloat16"} | runtime
    params["watch"] |= {"margin_tolerance": 0.5}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    return folder


@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_reference_training_and_holdout_agree_on_what_the_base_is(
    quantization: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if quantization == "nf4" and importlib.util.find_spec("bitsandbytes") is None:
        pytest.skip("bitsandbytes is not installed")
    make_cuda_project(tmp_path, **({"quantization": "nf4"} if quantization == "nf4" else {}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BLUEPENCIL_CHECKPOINTS", str(tmp_path / "checkpoints"))

    reference.main()  # scored in 4 bits too: else the check before the first step would fail
    train.main()
    holdout.main()

    assert (paths.POLICY_MODEL / "adapter_model.safetensors").exists()
    assert all(row.margin != 0 for row in read_jsonl(paths.MARGINS, MarginRow))


def test_a_run_cut_off_and_resumed_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_cuda_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BLUEPENCIL_CHECKPOINTS", str(tmp_path / "checkpoints"))
    step = PairTrainer.training_step

    def step_or_cut_off(self: PairTrainer, *args: Any, **kwargs: Any) -> Any:
        if self.state.global_step == 5:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    def train_and_hash() -> str:
        train.main()
        found = sha256_file(paths.POLICY_MODEL / "adapter_model.safetensors")
        shutil.rmtree(paths.POLICY_MODEL)
        return found

    reference.main()
    hashes = [train_and_hash(), train_and_hash()]
    monkeypatch.setattr(PairTrainer, "training_step", step_or_cut_off)
    with pytest.raises(KeyboardInterrupt):
        train.main()
    monkeypatch.setattr(PairTrainer, "training_step", step)
    capsys.readouterr()
    hashes.append(train_and_hash())

    assert "resumed at step" in capsys.readouterr().err
    assert len(set(hashes)) == 1
