"""A layer and its LoRA in one step of autograd, against its definition in separate steps."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from stages.logprobs.fast import lean_layers
from stages.logprobs.fast.lean_layers import make_layers_lean
from stages.logprobs.fast.lora import LoraLayer, Source, add_products_in_place, whole_layer
from tests.logprobs.fast.test_lean_layers import TOKENS, n_bytes_kept
from tests.support.tiny_models import tiny_model


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


def test_behind_a_norm_the_gradients_follow_from_what_went_into_it() -> None:
    layer, x = a_layer(has_bias=False), random(2, 7, 16, seed=1)
    scale, weight = random(2, 7, 1, seed=8).detach(), random(16, seed=9).detach()
    normed = x * scale * weight
    came = layer.run(normed, Source(x.detach(), scale, weight))
    assert_same(came, in_steps(layer, x * scale * weight), [x, layer.a, layer.b])


@pytest.mark.parametrize("has_bias", [False, True])
def test_behind_a_gate_too(has_bias: bool) -> None:
    layer, gate, up = a_layer(has_bias=has_bias), random(2, 7, 16, seed=1), random(2, 7, 16, seed=8)
    expected = in_steps(layer, torch.nn.functional.silu(gate) * up)
    assert_same(layer.run_gated(gate, up), expected, [gate, up, layer.a, layer.b])


def test_what_comes_out_of_no_learned_layer_gets_no_gradient() -> None:
    layer, x = a_layer(has_bias=False), random(7, 16, seed=1).detach()
    assert_same(layer.run(x), in_steps(layer, x), [layer.a, layer.b])


def with_adapter(*, is_patched: bool, **settings: Any) -> PeftModel:
    """A tiny model, its norms frozen like the rest, under an adapter that changes it."""
    model = tiny_model()
    settings = {"r": 4, "target_modules": "all-linear", "task_type": "CAUSAL_LM"} | settings
    adapted = get_peft_model(model, LoraConfig(**settings))
    generator = torch.Generator().manual_seed(1)
    for label, weight in adapted.named_parameters():
        if "lora_" in label:
            torch.nn.init.normal_(weight, std=0.1, generator=generator)
        elif "norm" in label:
            torch.nn.init.normal_(weight, mean=1.0, std=0.3, generator=generator)
    if is_patched:
        add_products_in_place(adapted)
        make_layers_lean(adapted)
    return adapted


def test_a_whole_model_has_the_same_logits_and_gradients() -> None:
    usual, whole = (with_adapter(is_patched=is_patched) for is_patched in (False, True))
    logits = [model(TOKENS).logits for model in (usual, whole)]
    torch.testing.assert_close(*logits, atol=1e-5, rtol=1e-5)
    for one in logits:
        one.square().mean().backward()
    for (label, one), other in zip(usual.named_parameters(), whole.parameters(), strict=True):
        if one.requires_grad:
            assert one.grad.abs().max() > 0, label
            torch.testing.assert_close(other.grad, one.grad, atol=1e-6, rtol=1e-3)


def test_the_product_of_each_gate_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    model = with_adapter(is_patched=True)
    whole = n_bytes_kept(model)
    monkeypatch.setattr(lean_layers, "whole_layer", lambda *_: None)
    usual = n_bytes_kept(model)
    n_layers, width = 2, 64
    assert usual - whole >= 4 * TOKENS.numel() * n_layers * width


def test_what_a_norm_gives_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    model = with_adapter(is_patched=True)
    lean = n_bytes_kept(model)
    run = LoraLayer.run
    monkeypatch.setattr(LoraLayer, "run", lambda layer, x, _source: run(layer, x))
    usual = n_bytes_kept(model)
    n_norms, width = 3, model.config.hidden_size  # the first norm keeps nothing itself: embeddings are frozen
    assert usual - lean == 4 * TOKENS.numel() * (n_norms * width - 1)  # 1: how the first one scaled


@pytest.mark.parametrize("settings", [{"bias": "all"}, {"lora_dropout": 0.1}])
def test_a_layer_that_learns_more_than_lora_is_left_alone(settings: dict[str, Any]) -> None:
    model = with_adapter(is_patched=True, **settings)
    layer = model.base_model.model.model.layers[0].mlp.down_proj
    if settings.get("bias"):
        layer.base_layer.bias = torch.nn.Parameter(torch.zeros(layer.out_features))
    assert whole_layer(layer, torch.zeros(1, layer.in_features)) is None


def test_an_adapter_that_is_switched_off_is_left_to_peft() -> None:
    model = with_adapter(is_patched=True)
    layer = model.base_model.model.model.layers[0].mlp.down_proj
    assert whole_layer(layer, torch.zeros(1, layer.in_features)) is not None
    with model.disable_adapter():
        assert whole_layer(layer, torch.zeros(1, layer.in_features)) is None
