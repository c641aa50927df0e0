"""The shared-prefix row against its definition: TRL's own two rows a pair."""

import pytest
import torch
from trl.trainer.dpo_trainer import DataCollatorForPreference
from trl.trainer.utils import add_fused_lm_head

from stages.adapters.shared_prefix import add_shared_prefix, branch_mask, share_prefix, why_not
from tests.tiny_models import CONFIGS, made_up_pairs, tiny_model

OUTPUTS = ("log_probs", "entropy", "mean_logits", "is_top1")


def run(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    batch = DataCollatorForPreference(pad_token_id=1)([pair._asdict() for pair in made_up_pairs(6)])
    labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, -100)
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    output = model(**inputs, labels=labels, fused_lm_head=True, use_cache=False)
    return {name: getattr(output, name) for name in OUTPUTS}


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", CONFIGS)
def test_log_probs_and_gradients_equal_two_rows_a_pair(name: str, attention: str) -> None:
    stock, shared = tiny_model(name, attention=attention), tiny_model(name, attention=attention)
    add_fused_lm_head(stock, outputs=OUTPUTS)
    add_fused_lm_head(shared, outputs=OUTPUTS)
    assert add_shared_prefix(shared)

    expected, came = run(stock), run(shared)

    for output in OUTPUTS:
        torch.testing.assert_close(came[output], expected[output], atol=2e-5, rtol=1e-5)
    expected["log_probs"].square().sum().backward()
    came["log_probs"].square().sum().backward()
    for (label, one), (_, other) in zip(stock.named_parameters(), shared.named_parameters(), strict=True):
        assert one.grad is not None, label
        torch.testing.assert_close(other.grad, one.grad, atol=2e-3, rtol=1e-4)


def test_a_window_shorter_than_the_row_changes_the_answer() -> None:
    windowed, full = tiny_model("mistral with a sliding window"), tiny_model("mistral with a sliding window")
    full.config.sliding_window = None
    for model in (windowed, full):
        add_fused_lm_head(model, outputs=OUTPUTS)
        add_shared_prefix(model)

    assert not torch.allclose(run(windowed)["log_probs"], run(full)["log_probs"], atol=1e-4)


def test_a_row_holds_the_prompt_once_and_opens_each_branch_with_its_last_token() -> None:
    # prompt 10 11 12, chosen 20 21, rejected 30: rows [10 11 12 20 21] and [10 11 12 30 pad]
    input_ids = torch.tensor([[10, 11, 12, 20, 21], [10, 11, 12, 30, 0]])
    attention_mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]])
    labels = torch.tensor([[-100, -100, -100, 20, 21], [-100, -100, -100, 30, -100]])

    rows = share_prefix(input_ids, attention_mask, labels)

    assert rows.input_ids.tolist() == [[10, 11, 12, 20, 12]]
    assert rows.position_ids.tolist() == [[0, 1, 2, 3, 2]]
    assert rows.branch.tolist() == [[0, 0, 1, 1, 2]]
    assert rows.source.tolist() == [[0, 2], [0, 3], [0, 4]]
    assert rows.target.tolist() == [[0, 2], [0, 3], [1, 2]]
    assert rows.labels.tolist() == [20, 21, 30]


def test_branches_see_the_prompt_and_themselves_only() -> None:
    branch = torch.tensor([[0, 1, 1, 2, -1]])
    mask = branch_mask(torch.tensor([[0, 1, 2, 1, 0]]), branch, window=None)[0, 0]

    assert mask.int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 0, 0, 1, 0],
        [0, 0, 0, 0, 1],
    ]


def test_an_attention_that_takes_no_mask_keeps_two_rows_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = tiny_model()
    model.config._attn_implementation = "flash_attention_2"
    add_fused_lm_head(model, outputs=OUTPUTS)
    before = model.forward

    assert not add_shared_prefix(model)

    assert model.forward == before
    assert "two rows a pair" in capsys.readouterr().err
    assert why_not(tiny_model()) is None
