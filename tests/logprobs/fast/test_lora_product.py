"""LoRA's product in place against its definition: PEFT's own layer."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from stages.logprobs.fast import lora as lora_product
from stages.logprobs.fast.lora import add_products_in_place
from tests.support.tiny_models import CONFIGS, tiny_model

TOKENS = torch.arange(2, 26).view(2, 12)


def with_adapter(name: str = "qwen2", **settings: Any) -> PeftModel:
    """A tiny model with an adapter that changes it; Qwen 2's query, key and value have biases."""
    config = LoraConfig(r=4, lora_alpha=9, target_modules="all-linear", task_type="CAUSAL_LM", **settings)
    torch.manual_seed(0)
    model = get_peft_model(tiny_model(name), config)
    for label, weight in model.named_parameters():
        if "lora_B" in label:
            torch.nn.init.normal_(weight, std=0.1)
    return model


@pytest.mark.parametrize("in_one_step", [False, True], ids=["after the layer", "with the layer"])
@pytest.mark.parametrize("name", CONFIGS)
def test_logits_and_gradients_are_pefts(
    name: str, in_one_step: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not in_one_step:  # as in 16 or 4 bits, and on a GPU
        monkeypatch.setattr(lora_product, "_whole", lambda *_: None)
    plain, patched = with_adapter(name), with_adapter(name)
    assert add_products_in_place(patched) == 14  # seven linear layers in each of two

    expected, came = plain(TOKENS).logits, patched(TOKENS).logits

    torch.testing.assert_close(came, expected, atol=5e-5, rtol=1e-5)
    expected.square().mean().backward()
    came.square().mean().backward()
    for (label, one), (_, other) in zip(plain.named_parameters(), patched.named_parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None), label
        if one.grad is not None:
            assert one.grad.abs().max() > 0, label
            torch.testing.assert_close(other.grad, one.grad, atol=1e-6, rtol=1e-4)


def test_with_checkpointing_the_gradients_are_the_same() -> None:
    models = with_adapter(), with_adapter()
    for model in models:
        add_products_in_place(model)
        model.train()
    models[1].enable_input_require_grads()
    models[1].activation_checkpointing_enable()
    for model in models:
        model(TOKENS).logits.square().mean().backward()
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        if one.requires_grad:
            torch.testing.assert_close(other.grad, one.grad)


def test_an_untouched_adapter_is_the_base_bit_for_bit() -> None:
    model = get_peft_model(tiny_model(), LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM"))
    add_products_in_place(model)
    assert torch.equal(model(TOKENS).logits, tiny_model()(TOKENS).logits)


def test_an_adapter_that_is_switched_off_or_merged_is_left_to_peft() -> None:
    model, plain = with_adapter(), with_adapter()
    add_products_in_place(model)
    with model.disable_adapter():
        assert torch.equal(model(TOKENS).logits, tiny_model("qwen2")(TOKENS).logits)
    for one in (model, plain):
        one.merge_adapter()
    assert torch.equal(model(TOKENS).logits, plain(TOKENS).logits)


def test_a_weight_that_its_own_module_gathers_is_left_to_peft() -> None:
    model = with_adapter()
    add_products_in_place(model)
    called = []
    for label, weight in model.named_parameters():
        if "lora_A" in label:
            weight.ds_id = 1  # as ZeRO-3 marks what it has cut
    for layer in model.modules():
        if hasattr(layer, "lora_A"):
            layer.lora_A["default"].register_forward_pre_hook(lambda *_: called.append(1))
    model(TOKENS)
    assert len(called) == 14


@pytest.mark.filterwarnings("ignore:.*lora_bias=True.*")
@pytest.mark.parametrize("settings", [{"lora_dropout": 0.1}, {"use_dora": True}, {"lora_bias": True}])
def test_what_is_not_plain_keeps_pefts_way(settings: dict[str, Any]) -> None:
    assert add_products_in_place(with_adapter(**settings)) == 0


def test_a_model_without_an_adapter_is_left_alone() -> None:
    assert add_products_in_place(tiny_model()) == 0
