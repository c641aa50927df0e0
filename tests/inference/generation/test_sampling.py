"""Sampling: every prompt's completion depends on its own seed alone, and draws follow the distribution."""

import pytest
import torch
from transformers import TopPLogitsWarper

from stages.inference.generation.completions import RawCompletion
from stages.inference.generation.sampling import (
    FIRST_LOOK,
    Nucleus,
    SeededGumbel,
    generate_completions,
    splitmix64,
)
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


@pytest.mark.parametrize("n_tokens", [7, FIRST_LOOK, 9 * FIRST_LOOK])
@pytest.mark.parametrize("top_p", [0.0001, 0.5, 0.9])
@pytest.mark.parametrize("spread", [0.0, 1.0, 8.0])  # 0: all alike, so no first look suffices
def test_the_nucleus_is_that_of_transformers(n_tokens: int, top_p: float, spread: float) -> None:
    scores = spread * torch.randn(3, n_tokens, generator=torch.Generator().manual_seed(1))
    scores += torch.arange(n_tokens) * 1e-6  # no two alike
    ids = torch.zeros(3, 1, dtype=torch.long)
    ours, theirs = Nucleus(top_p)(ids, scores), TopPLogitsWarper(top_p)(ids, scores)
    at_the_edge = torch.isfinite(ours).sum(dim=1) - torch.isfinite(theirs).sum(dim=1)
    # float32 sums a token's share into 1 in another order: the last of many may fall on either side
    assert at_the_edge.abs().max() <= (0 if n_tokens == 7 else n_tokens // 100)
    both = torch.isfinite(ours) & torch.isfinite(theirs)
    assert torch.equal(ours[both], theirs[both])
    assert both.sum(dim=1).min() >= 1


def test_the_noise_is_splitmix64s() -> None:
    def by_hand(state: int) -> int:
        mask = 2**64 - 1
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & mask
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & mask
        return state ^ (state >> 31)

    for seed in (0, 1234567, 2**63 - 1):
        wanted = [by_hand((seed + 0x9E3779B97F4A7C15 * (n + 1)) % 2**64) for n in range(5)]
        found = splitmix64(torch.tensor(seed), torch.arange(5))
        assert [int(one) % 2**64 for one in found] == wanted
    assert int(splitmix64(torch.tensor(1234567), 0)) == 6457827717110365317  # the published first output


def test_a_checkpoints_own_generation_settings_change_nothing() -> None:
    def written(**own: object) -> list[RawCompletion]:
        model = tiny_model()
        model.generation_config.update(**own)
        before = model.generation_config.to_dict()
        done = generate_completions(
            model, tiny_tokenizer(), PROMPTS, SEEDS, max_new_tokens=12, temperature=0.7, top_p=0.95,
            batch_size=4, label="generate",
        )  # fmt: skip
        assert model.generation_config.to_dict() == before
        return done

    plain = written()
    loud = {
        "repetition_penalty": 5.0,
        "temperature": 0.1,
        "top_k": 1,
        "do_sample": True,
        "min_new_tokens": 12,
    }
    assert written(**loud, no_repeat_ngram_size=1, suppress_tokens=list(range(100)), num_beams=3) == plain
    assert written(eos_token_id=[1, *range(60, 300)]) != plain  # the checkpoint's end ids count


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
