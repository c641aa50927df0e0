"""A merge is proven on its weights: right ones pass in every dtype, wrong ones in none."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from stages.errors import ModelError, RuntimeCheckError
from stages.files.io import read_json, write_json
from stages.model.manifest import Rendering
from stages.release import merging, proof
from stages.release.lineage import Form, MergeProof
from stages.run.params import Params, RuntimeParams, parse_params
from tests.support.release_factory import MANIFEST, make_split_pair, write_adapter
from tests.support.tiny_models import tiny_model, write_tiny_base

ROOT = Path(__file__).parent.parent.parent
PARAMS: Params = parse_params(yaml.safe_load((ROOT / "params.yaml").read_text()), place="params.yaml")
DTYPES = ["float32", "bfloat16", "float16"]
LEFT_OUT = "base_model.model.model.layers.1.mlp.up_proj.lora_B.weight"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_tiny_base(folder / "base")
    write_json(folder / "base/manifest.json", MANIFEST)
    write_adapter(folder / "policy", base=folder / "base")
    return folder


def runtime(dtype: str) -> RuntimeParams:
    return PARAMS.runtime.model_copy(update={"n_threads": 1, "dtype": dtype})


def ship(models: Path, policy: Path, out: Path, *, dtype: str, form: Form = "merged") -> MergeProof:
    """Ship `policy` and hold it against the judged one, which is that of `models`."""
    out.mkdir()
    shipped = merging.write_shipped(models / "base", policy, out, runtime(dtype), form=form)
    return proof.prove_shipped(models / "base", models / "policy", shipped, runtime(dtype))


def other_scale(policy: Path, factor: float) -> None:
    config = read_json(policy / "adapter_config.json")
    write_json(policy / "adapter_config.json", config | {"lora_alpha": config["lora_alpha"] * factor})


def without_a_layer(policy: Path) -> None:
    tensors = load_file(policy / "adapter_model.safetensors")
    tensors[LEFT_OUT].zero_()
    save_file(tensors, policy / "adapter_model.safetensors", metadata={"format": "pt"})


WRONG: dict[str, Callable[[Path, Path], None]] = {
    "scale 5 % too large": lambda policy, base: other_scale(policy, 1.05),
    "scale 5 % too small": lambda policy, base: other_scale(policy, 0.95),
    "another seed": lambda policy, base: write_adapter(policy, base=base, seed=2),
    "a layer left out": lambda policy, base: without_a_layer(policy),
}


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_right_merge_passes_in_every_dtype(models: Path, tmp_path: Path, dtype: str) -> None:
    found = ship(models, models / "policy", tmp_path / "out", dtype=dtype)
    assert found.n_modules == 14
    assert 0.98 < found.slope_low <= found.slope <= found.slope_high < 1.02
    assert read_json(tmp_path / "out/config.json")["dtype"] == dtype


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_merge_is_refused_in_every_dtype(
    models: Path, tmp_path: Path, spoil: Callable[[Path, Path], None], dtype: str
) -> None:
    policy = tmp_path / "policy"
    shutil.copytree(models / "policy", policy)
    spoil(policy, models / "base")
    with pytest.raises(RuntimeCheckError, match="is not the one that was judged"):
        ship(models, policy, tmp_path / "out", dtype=dtype)


def test_a_tensor_that_no_adapter_touches_must_be_the_bases(models: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    how = runtime("bfloat16")
    shipped = merging.write_shipped(models / "base", models / "policy", tmp_path / "out", how, form="merged")
    tensors = load_file(tmp_path / "out/model.safetensors")
    tensors["model.norm.weight"][3] += 0.01
    save_file(tensors, tmp_path / "out/model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RuntimeCheckError, match="model.norm.weight is not the base's"):
        proof.prove_shipped(models / "base", models / "policy", shipped, how)


def test_what_a_dtype_rounds_away_is_said_with_the_ways_out_which_pass(models: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    shutil.copytree(models, small)
    write_adapter(small / "policy", base=small / "base", size=1e-4)
    with pytest.raises(
        RuntimeCheckError, match=r"rounding to bfloat16 keeps .*release.form to merged_float32"
    ):
        ship(small, small / "policy", tmp_path / "out", dtype="bfloat16")
    wide = ship(small, small / "policy", tmp_path / "wide", dtype="bfloat16", form="merged_float32")
    assert wide.slope == pytest.approx(1, abs=1e-3)
    assert read_json(tmp_path / "wide/config.json")["dtype"] == "float32"
    alone = ship(small, small / "policy", tmp_path / "alone", dtype="bfloat16", form="adapter")
    assert alone.n_modules == 0
    assert read_json(tmp_path / "alone/adapter_config.json")["base_model_name_or_path"] == "tiny"
    assert (tmp_path / "alone/tokenizer.json").exists()
    assert not (tmp_path / "alone/model.safetensors").exists()


def test_a_unit_in_the_last_place_is_the_distance_to_the_next_number() -> None:
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        values = torch.tensor([1.0, 1.5, 2.0, 0.3, 100.0, 0.0], dtype=dtype)
        following = torch.nextafter(values, torch.full_like(values, torch.inf)) - values
        assert proof.last_place(values.float(), dtype).tolist() == following.float().tolist()


def answers(base: Path, policy: Path | None, dtype: str, numbers: range = range(3)) -> Any:
    pairs = [make_split_pair(number) for number in numbers]
    return proof.collect_logits(base, policy, runtime(dtype), PARAMS.rows, pairs, Rendering())


def test_what_the_models_say_is_measured_beside_what_the_base_says(models: Path, tmp_path: Path) -> None:
    ship(models, models / "policy", tmp_path / "out", dtype="bfloat16")
    judged = answers(models / "base", models / "policy", "bfloat16")
    found = proof.measure_drift(
        judged, answers(tmp_path / "out", None, "bfloat16"), answers(models / "base", None, "bfloat16")
    )
    assert 0 < found.kl < found.kl_from_base / 10
    assert found.n_positions == sum(len(row.chosen_ids) for row in judged[0])
    assert found.mean_logit_difference > 0


def test_kl_is_its_definition() -> None:
    of, against = torch.randn(5, 7), torch.randn(5, 7)
    p, q = of.softmax(-1), against.softmax(-1)
    assert proof.mean_kl(of, against) == pytest.approx(float((p * (p / q).log()).sum(-1).mean()), rel=1e-5)
    assert proof.mean_kl(of, of) == 0


def test_another_rendering_is_refused(models: Path) -> None:
    one, other = (
        answers(models / "base", None, "float32"),
        answers(models / "base", None, "float32", range(4)),
    )
    with pytest.raises(RuntimeCheckError, match="renders the pairs otherwise"):
        proof.measure_drift(one, other, one)


def test_a_fully_trained_policy_passes_through_unchanged(models: Path, tmp_path: Path) -> None:
    base, policy, out = models / "base", tmp_path / "policy", tmp_path / "out"
    tiny_model(seed=5).save_pretrained(policy)
    write_json(policy / "manifest.json", {})
    out.mkdir()
    shipped = merging.write_shipped(base, policy, out, runtime("float32"), form="merged")
    assert proof.prove_shipped(base, policy, shipped, runtime("float32")).n_modules == 0
    for name in ("model.safetensors", "config.json", "generation_config.json"):
        assert (out / name).read_bytes() == (policy / name).read_bytes()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (out / name).read_bytes() == (base / name).read_bytes()
    assert not (out / "manifest.json").exists()
    with pytest.raises(ModelError, match="release.form: adapter is for adapters"):
        merging.write_shipped(base, policy, out, runtime("float32"), form="adapter")


def test_weights_that_are_not_finite_are_not_merged(models: Path, tmp_path: Path) -> None:
    write_adapter(tmp_path / "policy", base=models / "base", size=float("inf"))
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelError, match="cannot be merged"):
        merging.write_shipped(
            models / "base", tmp_path / "policy", tmp_path / "out", runtime("float32"), form="merged"
        )


def test_adapted_experts_are_not_merged_and_the_way_out_is_named(models: Path, tmp_path: Path) -> None:
    policy = shutil.copytree(models / "policy", tmp_path / "policy")
    config = read_json(policy / "adapter_config.json")
    write_json(policy / "adapter_config.json", config | {"target_parameters": ["mlp.experts.down_proj"]})
    with pytest.raises(
        ModelError, match=r"on experts, too \(mlp.experts.down_proj\).* release.form to adapter"
    ):
        proof.read_updates(policy)
