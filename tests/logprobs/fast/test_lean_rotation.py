"""Rotary positions against transformers' own function, and against their definition in float64."""

import pytest
import torch
from transformers.models.llama import modeling_llama

from stages.logprobs.fast.lean_layers import make_layers_lean, rotate
from tests.support.tiny_models import tiny_model

N_TOKENS, WIDTH = 7, 8


def turned(
    function: object, query: torch.Tensor, key: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
) -> list[torch.Tensor]:
    """What comes out for query and key, and the gradients of both."""
    query, key = (array.detach().clone().requires_grad_() for array in (query, key))
    answers = function(query, key, cos, sin)
    weights = [torch.linspace(-1, 1, one.numel(), dtype=one.dtype).view(one.shape) for one in answers]
    return [*(one.detach() for one in answers), *torch.autograd.grad(answers, (query, key), weights)]


@pytest.fixture
def arrays() -> list[torch.Tensor]:
    """Two rows of four heads of queries and two of keys, as a projection lays them out; cosines and sines."""
    torch.manual_seed(0)
    angles = torch.rand(2, N_TOKENS, WIDTH // 2) * 6
    angles = torch.cat([angles, angles], dim=-1)
    heads = [torch.randn(2, N_TOKENS, n_heads, WIDTH).transpose(1, 2) for n_heads in (4, 2)]
    return [*heads, angles.cos(), angles.sin()]


def test_it_is_what_transformers_does(arrays: list[torch.Tensor]) -> None:
    expected = turned(modeling_llama.apply_rotary_pos_emb, *arrays)
    for came, wanted in zip(turned(rotate, *arrays), expected, strict=True):
        torch.testing.assert_close(came, wanted, rtol=1e-6, atol=1e-6)


def test_each_half_has_its_own_sine(arrays: list[torch.Tensor]) -> None:
    """transformers' halves are alike; the way back must not lean on that."""
    arrays[3] = torch.rand(2, N_TOKENS, WIDTH)
    expected = turned(modeling_llama.apply_rotary_pos_emb, *arrays)
    for came, wanted in zip(turned(rotate, *arrays), expected, strict=True):
        torch.testing.assert_close(came, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_in_16_bits_it_is_as_near_to_the_truth(arrays: list[torch.Tensor], dtype: torch.dtype) -> None:
    rounded = [array.to(dtype) for array in arrays]
    truth = turned(rotate, *(array.double() for array in rounded))
    ours, theirs = (turned(one, *rounded) for one in (rotate, modeling_llama.apply_rotary_pos_emb))
    for came, usual, true in zip(ours, theirs, truth, strict=True):
        assert came.dtype == dtype
        assert (came - true).abs().mean() <= 1.02 * (usual - true).abs().mean()


def test_angles_may_be_of_another_type_than_heads(arrays: list[torch.Tensor]) -> None:
    """As where all weights are trained in 16 bits: float32 goes from layer to layer."""
    query, key, cos, sin = arrays
    query, key = query.bfloat16(), key.bfloat16()
    expected = turned(modeling_llama.apply_rotary_pos_emb, query, key, cos, sin)
    for came, wanted in zip(turned(rotate, query, key, cos, sin), expected, strict=True):
        assert came.dtype == wanted.dtype
        torch.testing.assert_close(came, wanted, rtol=1e-2, atol=1e-2)


def test_a_model_takes_it_and_another_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(
        modeling_llama,
        "apply_rotary_pos_emb",
        lambda query, key, cos, sin: calls.append(1) or rotate(query, key, cos, sin),
    )
    lean, plain = tiny_model(), tiny_model()
    make_layers_lean(lean)
    lean(torch.arange(2, 9)[None])
    assert not calls
    plain(torch.arange(2, 9)[None])
    assert len(calls) == 2  # a layer each
