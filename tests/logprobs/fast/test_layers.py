"""Norms and MLPs against their definition: transformers' own layers."""

from copy import deepcopy

import pytest
import torch
from transformers import AutoModelForCausalLM

from stages.logprobs.fast.layers import patch_layers
from stages.sizing.shape import shape_from_config
from tests.support.tiny_models import CONFIGS, draw_norms, tiny_model

TOKENS = torch.arange(2, 26).view(2, 12)
# in each of two layers two norms and an MLP, and one norm at the end; Qwen 3 has two more norms a layer
N_PATCHED = {"llama": 7, "qwen2": 7, "qwen3": 11, "mistral with a sliding window": 7}


def n_bytes_saved(model: torch.nn.Module) -> int:
    """What one forward pass saves for backward, weights apart, each array once."""
    kept: dict[int, int] = {}
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}

    def pack(array: torch.Tensor) -> torch.Tensor:
        place = array.untyped_storage().data_ptr()
        if place not in weights:
            kept[place] = array.untyped_storage().nbytes()
        return array

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda array: array):
        answer = model(TOKENS).logits  # alive until it is counted, so that no place is used twice
    assert answer.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("is_trained", [False, True], ids=["frozen norms", "trained norms"])
@pytest.mark.parametrize("name", N_PATCHED)
def test_logits_and_gradients_are_those_of_transformers(name: str, is_trained: bool) -> None:
    plain, lean = tiny_model(name), tiny_model(name)
    for model in (plain, lean):
        draw_norms(model, is_learned=is_trained)
    assert patch_layers(lean) == N_PATCHED[name]

    expected, came = plain(TOKENS).logits, lean(TOKENS).logits

    torch.testing.assert_close(came, expected, atol=1e-5, rtol=1e-5)
    expected.square().mean().backward()
    came.square().mean().backward()
    for (label, one), (_, other) in zip(plain.named_parameters(), lean.named_parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None), label
        if one.grad is not None:
            assert one.grad.abs().max() > 0, label
            torch.testing.assert_close(other.grad, one.grad, atol=1e-6, rtol=1e-3)


def test_in_16_bits_a_gate_is_the_same_to_the_bit() -> None:
    models = tiny_model().bfloat16(), tiny_model().bfloat16()
    patch_layers(models[1])
    gates = [model.model.layers[0].mlp for model in models]
    hidden = torch.randn(2, 12, 32, generator=torch.Generator().manual_seed(3)).bfloat16()
    answers = [gate(hidden) for gate in gates]
    assert torch.equal(*answers)
    for one in answers:
        one.square().mean().backward()
    for one, other in zip(*(gate.parameters() for gate in gates), strict=True):
        assert torch.equal(one.grad, other.grad)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_in_16_bits_a_frozen_norm_rounds_once(dtype: torch.dtype) -> None:
    """Against its definition in float64: half a unit of the last place, and nearer than transformers'."""
    models = [tiny_model().to(dtype) for _ in range(2)]
    for model in models:
        draw_norms(model)
    assert patch_layers(models[1]) == N_PATCHED["llama"]
    usual, lean = (model.model.norm for model in models)
    generator = torch.Generator().manual_seed(2)
    width = len(lean.weight)
    values = (3 * torch.randn(64, width, generator=generator)).to(dtype)
    wanted = torch.randn(64, width, generator=generator).to(dtype)

    def run(forward, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = x.clone().requires_grad_()
        answer = forward(x)
        answer.backward(wanted.to(answer.dtype))
        assert answer.dtype == x.dtype
        return answer.detach(), x.grad

    def exact(x: torch.Tensor) -> torch.Tensor:
        mean_square = x.square().mean(dim=-1, keepdim=True)
        return x * torch.rsqrt(mean_square + lean.variance_epsilon) * lean.weight.double()

    truth = run(exact, values.double())
    with torch.autocast("cpu", dtype=torch.bfloat16):  # as TRL trains
        came = run(lean, values)
    for true, ours, theirs in zip(truth, came, run(usual, values), strict=True):
        unit = torch.finfo(dtype).eps * true.abs().clamp(min=0.01)
        assert ((ours - true).abs() <= 0.52 * unit).all()
        assert (ours - true).abs().mean() < 0.9 * (theirs - true).abs().mean()


def test_frozen_or_not_a_model_is_scored_with_the_same_norms() -> None:
    """A base as it is loaded and one under an adapter: margins compare their log-probs."""
    frozen, learned = tiny_model().requires_grad_(False), tiny_model()
    for model in (frozen, learned):
        patch_layers(model)
    with torch.no_grad():
        assert torch.equal(frozen(TOKENS).logits, learned(TOKENS).logits)
    assert not torch.equal(frozen(TOKENS).logits, learned(TOKENS).logits)  # the two norms do differ


def test_one_array_less_of_each_gate_is_saved() -> None:
    models = tiny_model(), tiny_model()
    for model in models:
        for label, weight in model.named_parameters():
            weight.requires_grad_("norm" not in label)
    patch_layers(models[1])
    usual, lean = (n_bytes_saved(model) for model in models)
    n_layers, width = 2, 64
    assert usual - lean == 4 * TOKENS.numel() * n_layers * width


@pytest.mark.parametrize("hidden_act", ["silu", "gelu"])
@pytest.mark.parametrize("name", CONFIGS)
def test_doctor_counts_lean_gates_where_there_are_some(name: str, hidden_act: str) -> None:
    config = deepcopy(CONFIGS[name])
    if hasattr(config, "hidden_act"):
        config.hidden_act = hidden_act
    model = AutoModelForCausalLM.from_config(config)
    patch_layers(model)
    is_lean = "forward" in vars(model.model.layers[0].mlp)
    assert shape_from_config(config.to_dict()).has_lean_gate == is_lean
    assert is_lean == (hidden_act == "silu" and name in N_PATCHED)


def test_layers_that_are_not_known_are_left_alone() -> None:
    model = tiny_model("gemma3 with layers of both kinds")  # its norms add 1, its gates are no SiLU
    before = model(TOKENS).logits
    assert patch_layers(model) == 0
    assert torch.equal(model(TOKENS).logits, before)


def test_a_gate_of_another_kind_is_left_alone() -> None:
    model = tiny_model()
    for layer in model.model.layers:
        layer.mlp.act_fn = torch.nn.GELU()
    assert patch_layers(model) == 5  # the norms


def test_every_family_is_tried_here() -> None:
    assert set(N_PATCHED) < set(CONFIGS)
