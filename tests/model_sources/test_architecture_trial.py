"""An architecture is tried without weights: attention, LoRA targets, wrappers, mixtures of experts."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import AutoConfig, Gemma3Config

from stages.errors import ModelError
from stages.model_sources.architecture_trial import try_architecture
from stages.run.params import Params, parse_params
from tests.support.tiny_models import SHAPE

PARAMS: Params = parse_params(
    yaml.safe_load((Path(__file__).parent.parent.parent / "params.yaml").read_text()), place="params.yaml"
)
VISION = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}


def say_of(folder: Path, config: Any, capsys: pytest.CaptureFixture[str], **train: Any) -> str:
    config.save_pretrained(folder)
    try_architecture(folder, "here", PARAMS.runtime, PARAMS.train.model_copy(update=train))
    return capsys.readouterr().err


def of_type(model_type: str, **more: Any) -> Any:
    return AutoConfig.for_model(model_type, **(SHAPE | more))


def test_what_lora_adapts_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = say_of(tmp_path, of_type("llama"), capsys)
    assert "LoRA adapts down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj (14 weights)\n" in said


@pytest.mark.parametrize("model_type", ["gemma2", "gpt_oss"])
def test_an_attention_that_a_family_lacks_is_named_with_one_that_it_has(
    tmp_path: Path, model_type: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelError, match="cannot run with attention sdpa .*attn_implementation to eager"):
        say_of(tmp_path, of_type(model_type), capsys)


def test_targets_that_do_not_go_are_answered_with_those_that_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = of_type("falcon_h1", mamba_d_ssm=32, mamba_n_heads=4, mamba_d_head=8)
    with pytest.raises(ModelError, match=r"'out_proj' is incompatible .* set it to \[down_proj, ") as caught:
        say_of(tmp_path, config, capsys)
    fitting = str(caught.value).rpartition("[")[2].rstrip("]").split(", ")
    assert "out_proj" not in fitting
    assert "k_proj" in say_of(tmp_path, config, capsys, lora_target_modules=fitting)


def test_a_wrapper_is_adapted_on_its_text_part_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Gemma3Config(text_config=SHAPE | {"sliding_window": 7}, vision_config=VISION)
    said = say_of(tmp_path, config, capsys)
    assert "(14 weights) of the text part alone" in said
    assert "out_proj" not in said  # the vision tower's


def test_a_router_that_answers_with_scores_too_is_not_adapted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = of_type("llama4_text", num_local_experts=2, intermediate_size_mlp=64)
    said = say_of(tmp_path, config, capsys)
    assert "LoRA adapts down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj (14 weights)" in said


def test_experts_that_are_not_adapted_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = of_type("granitemoe", num_local_experts=4, num_experts_per_tok=2)
    assert "not the experts (down_proj, gate_up_proj), which train.lora_target_parameters" in say_of(
        tmp_path, config, capsys
    )
    names = ["experts.gate_up_proj", "experts.down_proj"]
    assert "not the experts" not in say_of(tmp_path, config, capsys, lora_target_parameters=names)


def test_a_weight_that_is_not_there_is_refused_with_those_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = of_type("granitemoe", num_local_experts=4, num_experts_per_tok=2)
    words = (
        "names moe.up, and no weight's name ends so; the experts of this model are .*experts.down_proj, .*"
    )
    with pytest.raises(ModelError, match=words):
        say_of(tmp_path, config, capsys, lora_target_parameters=["experts.down_proj", "moe.up"])
