"""LoRA layers against their definition in separate steps, and against PEFT's own."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch.overrides import TorchFunctionMode

from stages.logprobs.fast import layers, lora
from stages.logprobs.fast.layers import patch_layers
from stages.logprobs.fast.lora import LoraLayer, patch_lora, whole_layer
from tests.logprobs.fast.test_layers import TOKENS, n_bytes_saved
from tests.support.tiny_models import CONFIGS, draw_norms, tiny_model


def random(*shape: int, seed: int) -> torch.Tensor:
    numbers = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return numbers.requires_grad_()


def a_layer(*, has_bias: bool) -> LoraLayer:
    bias = random(24, seed=3).detach() if has_bias else None
    return LoraLayer(random(24, 16, seed=2).detach(), bias, random(4, 16, seed=4), random(24, 4, seed=5), 0.7)


def in_steps(layer: LoraLayer, x: torch.Tensor) -> torch.Tensor:
    usual = torch.nn.functional.linear(x, layer.weight, layer.bias)
    return usual + layer.scaling * (x @ layer.a.T) @ layer.b.T


def assert_same(came: torch.Tensor, expected: torch.Tensor, learned: list[torch.Tensor]) -> None:
    torch.testing.assert_close(came, expected, atol=1e-5, rtol=1e-5)
    weight = random(*came.shape, seed=6).detach()
    for one, other in zip(
        torch.autograd.grad((came * weight).sum(), learned),
        torch.autograd.grad((expected * weight).sum(), learned),
        strict=True,
    ):
        assert other.abs().max() > 0
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("has_bias", [False, True])
def test_output_and_gradients_are_those_of_separate_steps(has_bias: bool) -> None:
    layer, x = a_layer(has_bias=has_bias), random(2, 7, 16, seed=1)
    assert_same(layer.run(x), in_steps(layer, x), [x, layer.a, layer.b])


@pytest.mark.parametrize("has_bias", [False, True])
def test_behind_a_gate_too(has_bias: bool) -> None:
    layer, gate, up = a_layer(has_bias=has_bias), random(2, 7, 16, seed=1), random(2, 7, 16, seed=8)
    expected = in_steps(layer, torch.nn.functional.silu(gate) * up)
    assert_same(layer.run(gate, up), expected, [gate, up, layer.a, layer.b])


def test_what_comes_out_of_no_learned_layer_gets_no_gradient() -> None:
    layer, x = a_layer(has_bias=False), random(7, 16, seed=1).detach()
    assert_same(layer.run(x), in_steps(layer, x), [layer.a, layer.b])


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
        monkeypatch.setattr(lora, "_whole", lambda *_: None)
    plain, patched = with_adapter(name), with_adapter(name)
    assert patch_lora(patched) == 14  # seven linear layers in each of two

    expected, came = plain(TOKENS).logits, patched(TOKENS).logits

    torch.testing.assert_close(came, expected, atol=5e-5, rtol=1e-5)
    expected.square().mean().backward()
    came.square().mean().backward()
    for (label, one), (_, other) in zip(plain.named_parameters(), patched.named_parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None), label
        if one.grad is not None:
            assert one.grad.abs().max() > 0, label
            torch.testing.assert_close(other.grad, one.grad, atol=1e-6, rtol=1e-4)


def test_layers_that_read_the_same_input_share_a_product_and_weights_are_cast_once_a_pass() -> None:
    plain, patched = (with_adapter("llama").to(torch.bfloat16) for _ in range(2))
    for model in (plain, patched):
        for label, weight in model.named_parameters():
            if "lora_" in label:
                weight.data = weight.data.float()  # as PEFT holds an adapter over 16 bits
    patch_lora(patched)
    n_products: list[int] = []

    class Products(TorchFunctionMode):
        def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
            n_products.append(func is torch.mm)
            return func(*args, **(kwargs or {}))

    for _ in range(
        2
    ):  # the second time with other weights, changed behind PyTorch's back as bitsandbytes does
        with Products(), torch.autocast("cpu", torch.bfloat16):
            came = patched(TOKENS).logits
        with torch.autocast("cpu", torch.bfloat16):
            expected = plain(TOKENS).logits
        assert sum(n_products) == 2 * 4  # q, k and v; o; gate and up; down
        assert (came - expected).abs().max() < 0.05 * expected.abs().max()
        came.float().square().mean().backward()
        expected.float().square().mean().backward()
        for (label, one), (_, other) in zip(
            plain.named_parameters(), patched.named_parameters(), strict=True
        ):
            if one.grad is not None:
                assert other.grad.dtype == torch.float32
                assert (other.grad - one.grad).norm() < 0.1 * one.grad.norm(), label
        n_products.clear()
        for model in (plain, patched):
            for label, weight in model.named_parameters():
                if "lora_" in label:
                    weight.data.numpy()[:] *= -1.5
                    weight.grad = None


def test_an_input_that_changed_in_between_is_run_anew() -> None:
    model = with_adapter("llama").to(torch.bfloat16)
    patch_lora(model)
    attention = model.get_base_model().model.layers[0].self_attn
    x = torch.randn(1, 3, 32, dtype=torch.bfloat16)
    with torch.no_grad():
        attention.q_proj(x)
        x.mul_(2)
        again = attention.k_proj(x)
        assert torch.equal(again, attention.k_proj(x.clone()))
        assert not torch.equal(again, attention.k_proj(x / 2))


def test_with_checkpointing_the_gradients_are_the_same() -> None:
    models = with_adapter(), with_adapter()
    for model in models:
        patch_lora(model)
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
    patch_lora(model)
    assert torch.equal(model(TOKENS).logits, tiny_model()(TOKENS).logits)


def test_an_adapter_that_is_switched_off_or_merged_is_left_to_peft() -> None:
    model, plain = with_adapter(), with_adapter()
    patch_lora(model)
    with model.disable_adapter():
        assert torch.equal(model(TOKENS).logits, tiny_model("qwen2")(TOKENS).logits)
    for one in (model, plain):
        one.merge_adapter()
    assert torch.equal(model(TOKENS).logits, plain(TOKENS).logits)


def test_a_weight_that_its_own_module_gathers_is_left_to_peft() -> None:
    model = with_adapter()
    patch_lora(model)
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
    assert patch_lora(with_adapter(**settings)) == 0


def test_a_model_without_an_adapter_is_left_alone() -> None:
    assert patch_lora(tiny_model()) == 0


def test_the_product_of_each_gate_is_not_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    model = with_adapter("llama")
    draw_norms(model)
    patch_lora(model)
    patch_layers(model)
    whole = n_bytes_saved(model)
    monkeypatch.setattr(layers, "whole_layer", lambda *_: None)
    n_layers, width = 2, 64
    assert n_bytes_saved(model) - whole >= 4 * TOKENS.numel() * n_layers * width


def test_a_layer_whose_bias_is_trained_is_not_one_function() -> None:
    model = with_adapter()
    patch_lora(model)
    layer = model.base_model.model.model.layers[0].mlp.down_proj
    x = torch.zeros(1, layer.in_features)
    assert whole_layer(layer, x) is not None
    with model.disable_adapter():
        assert whole_layer(layer, x) is None
    layer.base_layer.bias = torch.nn.Parameter(torch.zeros(layer.out_features))
    assert whole_layer(layer, x) is None
