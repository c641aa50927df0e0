"""Sampling: every prompt's completion depends on its own seed alone, and draws follow the distribution."""

import pytest
import torch

from stages.inference.generation.completions import RawCompletion
from stages.inference.generation.sampling import SeededGumbel, generate_completions
from tests.support.tiny_models import tiny_model, tiny_tokenizer

PROMPTS = [[5, 9, 30], [7, 8], [40, 41, 42, 43, 44], [3]]
SEEDS = [11, 12, 13, 14]


def generate(
    prompts: list[list[int]] = PROMPTS,
    seeds: list[int] = SEEDS,
    *,
    temperature: float = 0.7,
    batch_size: int = 4,
) -> list[RawCompletion]:
    return generate_completions(
        tiny_model(), tiny_tokenizer(), prompts, seeds, max_new_tokens=12, temperature=temperature, top_p=0.95,
        batch_size=batch_size, label="generate",
    )  # fmt: skip


def test_equal_seeds_give_equal_completions_and_others_differ() -> None:
    assert generate() == generate()
    assert generate() != generate(seeds=[1, 2, 3, 4])


def test_a_completion_does_not_depend_on_its_batch_or_place() -> None:
    together = generate()
    assert generate(batch_size=1) == together
    assert generate(PROMPTS[::-1], SEEDS[::-1], batch_size=3) == together[::-1]


def test_temperature_zero_ignores_the_seed() -> None:
    assert generate(temperature=0) == generate(seeds=[1, 2, 3, 4], temperature=0)


def test_temperature_zero_is_the_likeliest_token_each_time() -> None:
    model = tiny_model()
    ids = torch.tensor([PROMPTS[0]])
    for _ in range(12):
        following = model(ids).logits[0, -1].argmax()
        ids = torch.cat([ids, following.view(1, 1)], dim=1)
        if following == 1:
            break
    written = [token for token in ids[0, 3:].tolist() if token != 1]
    assert generate(temperature=0)[0].text == tiny_tokenizer().decode(written)


def test_draws_follow_the_distribution() -> None:
    scores = torch.log(torch.tensor([[0.5, 0.3, 0.2]])).expand(4000, 3)
    drawn = SeededGumbel(range(4000))(torch.zeros(4000, 1), scores).argmax(dim=1)
    shares = torch.bincount(drawn, minlength=3) / 4000
    # standard error of a share is below 0.008
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.3, 0.2]), atol=0.03, rtol=0)


def test_an_excluded_token_is_never_drawn() -> None:
    scores = torch.tensor([[0.0, -float("inf")]]).expand(500, 2)
    assert not SeededGumbel(range(500))(torch.zeros(500, 1), scores).argmax(dim=1).any()


def test_an_end_token_ends_the_text_and_is_not_part_of_it() -> None:
    model = tiny_model()
    torch.nn.init.zeros_(
        model.get_output_embeddings().weight
    )  # every token equally likely: some rows end early
    done = generate_completions(
        model, tiny_tokenizer(), [[5]] * 300, list(range(300)), max_new_tokens=12, temperature=1.0, top_p=1.0,
        batch_size=300, label="generate",
    )  # fmt: skip
    ended = [completion for completion in done if completion.ended]
    assert ended
    assert all(completion.n_tokens < 12 and "<|im_end|>" not in completion.text for completion in ended)
    assert all(completion.n_tokens == 12 for completion in done if not completion.ended)


def test_progress_is_shown_as_plain_lines_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    generate(batch_size=2)
    assert "generate: 2/2 batches" in capsys.readouterr().err
