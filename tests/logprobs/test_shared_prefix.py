"""The shared-prefix row against its definition: TRL's own two rows a pair."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.nn.attention import flex_attention
from torch.nn.functional import logsigmoid
from transformers import AutoModelForCausalLM, MambaConfig
from trl.trainer.dpo_trainer import DataCollatorForPreference
from trl.trainer.utils import add_fused_lm_head

from stages.logprobs import shared_prefix
from stages.logprobs.branch_masks import block_mask, branch_mask
from stages.logprobs.fast.label_logps import can_score, label_logps
from stages.logprobs.fast.packed_attention import PACKED, can_pack
from stages.logprobs.shared_prefix import add_shared_prefix, why_not
from stages.logprobs.shared_rows import share_prefix
from stages.model.checkpoint import for_short_texts
from stages.run.params import load_params
from tests.support.tiny_models import CONFIGS, made_up_pairs, tiny_model

OUTPUTS = ("log_probs", "entropy", "log_sum_sq_probs", "mean_logits", "is_top1")


def run(model: torch.nn.Module, n_pairs: int = 6) -> dict[str, torch.Tensor]:
    batch = DataCollatorForPreference(pad_token_id=1)([pair._asdict() for pair in made_up_pairs(n_pairs)])
    labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, -100)
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    output = model(**inputs, labels=labels, fused_lm_head=True, use_cache=False)
    return {name: getattr(output, name) for name in OUTPUTS}


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("attention", ["sdpa", "sdpa, a row each", "eager"])
@pytest.mark.parametrize("name", CONFIGS)
def test_log_probs_and_gradients_equal_two_rows_a_pair(
    name: str, attention: str, checkpointing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if attention == "sdpa, a row each":  # as on a GPU
        attention = "sdpa"
        monkeypatch.setattr(shared_prefix, "can_pack", lambda _model: False)
    stock, shared = tiny_model(name, attention=attention), tiny_model(name, attention=attention)
    add_fused_lm_head(stock, outputs=OUTPUTS)
    add_fused_lm_head(shared, outputs=OUTPUTS)
    assert add_shared_prefix(shared, outputs=OUTPUTS)
    if checkpointing:
        shared.train()
        shared.activation_checkpointing_enable()

    expected, came = run(stock), run(shared)

    for output in OUTPUTS:
        torch.testing.assert_close(came[output], expected[output], atol=2e-5, rtol=1e-5)
    expected["log_probs"].square().sum().backward()
    came["log_probs"].square().sum().backward()
    for (label, one), (_, other) in zip(stock.named_parameters(), shared.named_parameters(), strict=True):
        assert one.grad is not None, label
        torch.testing.assert_close(other.grad, one.grad, atol=2e-3, rtol=1e-4)


@pytest.fixture
def flex_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Flex attention without its kernels: torch's own slow definition, which has a backward pass here too."""
    monkeypatch.setattr(flex_attention, "_validate_device", lambda *_: None)
    with torch.compiler.set_stance("force_eager"):
        yield


def dpo_loss(log_probs: torch.Tensor) -> torch.Tensor:
    """Sigmoid loss with beta 0.1 against a reference of zeros: rows are all chosen, then all rejected."""
    chosen, rejected = log_probs.sum(dim=1).chunk(2)
    return -logsigmoid(0.1 * (chosen - rejected)).mean()


@pytest.mark.usefixtures("flex_on_a_cpu")
@pytest.mark.filterwarnings(
    "ignore:flex_attention called without torch.compile:UserWarning",  # as is meant here
    "ignore:_compile flag on create_block_mask:DeprecationWarning",  # transformers 5.23 sets it for its own rows
    "ignore:`torch.jit.script_method` is deprecated:DeprecationWarning",  # torch among itself
)
@pytest.mark.parametrize("name", CONFIGS)
def test_flex_attention_has_the_loss_log_probs_and_gradients_of_sdpa(name: str) -> None:
    plain, flex = tiny_model(name, attention="sdpa"), tiny_model(name, attention="flex_attention")
    for model in (plain, flex):
        add_fused_lm_head(model, outputs=OUTPUTS)
        assert add_shared_prefix(model, outputs=OUTPUTS)

    expected, came = run(plain), run(flex)

    for output in OUTPUTS:
        torch.testing.assert_close(came[output], expected[output], atol=1e-4, rtol=0)
    loss = dpo_loss(expected["log_probs"])
    flex_loss = dpo_loss(came["log_probs"])
    torch.testing.assert_close(flex_loss, loss, atol=1e-4, rtol=0)
    loss.backward()
    flex_loss.backward()
    for (label, one), (_, other) in zip(plain.named_parameters(), flex.named_parameters(), strict=True):
        assert one.grad is not None, label
        torch.testing.assert_close(other.grad, one.grad, atol=1e-4, rtol=0)


@pytest.mark.parametrize("window", [None, 3])
def test_the_rule_of_the_blocks_is_the_mask(window: int | None) -> None:
    generator = torch.Generator().manual_seed(0)
    branch = torch.randint(-1, 3, (3, 256), generator=generator)
    position_ids = torch.randint(0, 9, (3, 256), generator=generator)

    blocks = block_mask(position_ids, branch, window=window)

    told = flex_attention.create_mask(blocks.mask_mod, 3, 1, 256, 256, device="cpu")
    assert torch.equal(told, branch_mask(position_ids, branch, window=window))
    assert blocks.BLOCK_SIZE == (128, 128)


def test_stages_of_short_texts_use_sdpa_in_place_of_flex_and_say_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    runtime = load_params(Path(__file__).parent.parent.parent / "params.yaml").runtime
    assert for_short_texts(runtime, stage="mmlu") is runtime
    assert capsys.readouterr().err == ""
    long = runtime.model_copy(update={"device": "cuda", "attn_implementation": "flex_attention"})
    assert for_short_texts(long, stage="mmlu").attn_implementation == "sdpa"
    assert "mmlu: sdpa in place of flex_attention" in capsys.readouterr().err


def test_a_window_shorter_than_the_row_changes_the_answer() -> None:
    windowed, full = tiny_model("mistral with a sliding window"), tiny_model("mistral with a sliding window")
    full.config.sliding_window = None
    for model in (windowed, full):
        add_fused_lm_head(model, outputs=OUTPUTS)
        add_shared_prefix(model, outputs=OUTPUTS)

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
    assert rows.labels.tolist() == [20, 21, 30]
    assert rows.target.tolist() == [[0, 2], [0, 3], [1, 2]]
    assert rows.scored.tolist() == [0, 1, 2]


def test_packed_pairs_stand_in_one_row_after_what_all_prompts_begin_with() -> None:
    # prompts 10 11 12 and 10 11 13; chosen 20 21 and 22, rejected 30 and 31
    input_ids = torch.tensor(
        [[10, 11, 12, 20, 21], [10, 11, 13, 22, 0], [10, 11, 12, 30, 0], [10, 11, 13, 31, 0]]
    )
    attention_mask = (input_ids != 0).long()
    labels = input_ids.masked_fill((input_ids < 20), -100)

    rows = share_prefix(input_ids, attention_mask, labels, packed=True)

    assert rows.input_ids.tolist() == [[10, 11, 12, 20, 12, 13, 13]]
    assert rows.position_ids.tolist() == [[0, 1, 2, 3, 2, 2, 2]]
    assert rows.source.tolist() == [[0, 2], [0, 3], [0, 4], [0, 5], [0, 6]]
    assert rows.labels.tolist() == [20, 21, 30, 22, 31]
    assert rows.target.tolist() == [[0, 2], [0, 3], [2, 2], [1, 2], [3, 2]]
    assert rows.packing is not None
    assert rows.packing.lengths == [2, 0, 2, 1, 0, 1, 1]


def test_a_pair_alone_is_packed_after_its_own_prompt() -> None:
    model, stock = tiny_model(), tiny_model()
    for one in (model, stock):
        add_fused_lm_head(one, outputs=OUTPUTS)
    assert add_shared_prefix(model, outputs=OUTPUTS)
    assert model.config._attn_implementation == PACKED
    torch.testing.assert_close(run(model, 1)["log_probs"], run(stock, 1)["log_probs"], atol=2e-5, rtol=1e-5)


def test_prompts_that_begin_unlike_are_packed_without_a_head() -> None:
    input_ids = torch.tensor([[10, 12, 20], [11, 12, 21], [10, 12, 30], [11, 12, 31]])
    labels = input_ids.masked_fill(input_ids < 20, -100)
    rows = share_prefix(input_ids, torch.ones_like(input_ids), labels, packed=True)
    assert rows.packing is not None
    assert rows.packing.lengths == [0, 1, 1, 1, 1, 1, 1]
    assert rows.input_ids.tolist() == [[10, 12, 12, 11, 12, 12]]


def test_packing_is_for_whole_rows_on_a_cpu_and_leaves_no_trace_in_a_config() -> None:
    packs = {name: can_pack(tiny_model(name)) for name in CONFIGS}
    assert packs == {name: name in ("llama", "qwen2", "qwen3") for name in CONFIGS}
    assert not can_pack(tiny_model(attention="eager"))
    model = tiny_model()
    add_fused_lm_head(model)
    assert add_shared_prefix(model, outputs=("log_probs",))
    assert model.config._attn_implementation == PACKED
    assert PACKED not in model.config.to_json_string()


def test_a_packed_model_still_answers_as_it_did() -> None:
    plain, model = tiny_model(), tiny_model()
    add_fused_lm_head(model)
    add_shared_prefix(model, outputs=("log_probs",))
    ids = torch.arange(2, 22).view(2, 10)
    mask = torch.ones_like(ids)
    mask[0, :3] = 0
    for call in ({"input_ids": ids}, {"input_ids": ids, "attention_mask": mask}):
        assert torch.equal(model(**call).logits, plain(**call).logits)


def test_a_model_that_does_not_pass_the_packing_on_gets_a_row_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, stock = tiny_model(), tiny_model()
    for one in (model, stock):
        add_fused_lm_head(one, outputs=OUTPUTS)
    backbone = model.model.forward
    monkeypatch.setattr(model.model, "forward", lambda **call: backbone(**(call | {"packing": None})))

    assert add_shared_prefix(model, outputs=OUTPUTS)

    assert model.config._attn_implementation == "sdpa"
    torch.testing.assert_close(run(model)["log_probs"], run(stock)["log_probs"], atol=2e-5, rtol=1e-5)
    assert capsys.readouterr().err == ""


def test_a_common_beginning_is_run_once_and_counts_for_both_rows() -> None:
    # prompt 10 11, chosen 20 21 22, rejected 20 21 30 31; what begins alike, 20 21, joins the prompt
    input_ids = torch.tensor([[10, 11, 20, 21, 22, 0], [10, 11, 20, 21, 30, 31]])
    attention_mask = torch.tensor([[1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1]])
    labels = torch.tensor([[-100, -100, 20, 21, 22, -100], [-100, -100, 20, 21, 30, 31]])

    rows = share_prefix(input_ids, attention_mask, labels)

    assert rows.input_ids.tolist() == [[10, 11, 20, 21, 21, 30]]
    assert rows.position_ids.tolist() == [[0, 1, 2, 3, 3, 4]]
    assert rows.branch.tolist() == [[0, 0, 0, 1, 2, 2]]
    assert rows.source.tolist() == [[0, 1], [0, 2], [0, 3], [0, 4], [0, 5]]
    assert rows.labels.tolist() == [20, 21, 22, 30, 31]
    assert rows.target.tolist() == [[0, 1], [0, 2], [0, 3], [1, 3], [1, 4], [1, 1], [1, 2]]
    assert rows.scored.tolist() == [0, 1, 2, 3, 4, 0, 1]


@pytest.mark.parametrize("rejected", [[20, 21], [20, 21, 22]])
def test_each_branch_keeps_a_label_where_one_completion_begins_the_other(rejected: list[int]) -> None:
    pair = [[10, 20, 21], [10, *rejected]]
    length = max(map(len, pair))
    input_ids = torch.tensor([row + [0] * (length - len(row)) for row in pair])
    attention_mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in pair])
    labels = input_ids.masked_fill((attention_mask == 0) | (input_ids == 10), -100)

    rows = share_prefix(input_ids, attention_mask, labels)

    assert rows.branch.tolist() == [[0, 1, *[2] * (len(rejected) - 1)]]
    assert rows.labels.tolist() == [20, 21, *rejected[1:]]


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

    assert not add_shared_prefix(model, outputs=OUTPUTS)

    assert model.forward == before
    assert "two rows a pair" in capsys.readouterr().err
    assert why_not(tiny_model()) is None


def test_a_model_that_carries_state_keeps_two_rows_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    config = MambaConfig(
        vocab_size=320,
        hidden_size=16,
        state_size=4,
        num_hidden_layers=2,
        initializer_range=0.3,
        pad_token_id=1,
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    add_fused_lm_head(model, outputs=OUTPUTS)
    before = model.forward

    assert not add_shared_prefix(model, outputs=OUTPUTS)

    assert model.forward == before
    assert "two rows a pair: " in capsys.readouterr().err


def test_a_mask_that_is_not_followed_is_found_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    add_fused_lm_head(model, outputs=OUTPUTS)
    backbone = model.model.forward
    nothing = {"attention_mask": None, "packing": None}
    monkeypatch.setattr(model.model, "forward", lambda **call: backbone(**(call | nothing)))

    assert not add_shared_prefix(model, outputs=OUTPUTS)

    assert "gives other log-probs from shared rows" in capsys.readouterr().err


def test_a_frozen_head_scores_as_a_softmax_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.logprobs.fast.label_logps.ROWS_AT_ONCE", 3)  # 7 labels: the last part has one
    monkeypatch.setattr(
        "stages.logprobs.fast.label_logps.WORDS_AT_ONCE", 16
    )  # 50 words: the last tile has two
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(7, 8, generator=generator)
    weight = torch.randn(50, 8, generator=generator)
    labels = torch.randint(0, 50, (7,), generator=generator)
    labels[0] = (hidden[0] @ weight.T).argmax()
    ours, slow = hidden.clone().requires_grad_(), hidden.clone().requires_grad_()

    scores = label_logps(ours, weight, labels, outputs=OUTPUTS)
    logits = slow @ weight.T
    every = logits.log_softmax(dim=1)
    picked = every[torch.arange(7), labels]
    picked.square().sum().backward()
    scores.log_probs.square().sum().backward()

    torch.testing.assert_close(scores.log_probs, picked)
    torch.testing.assert_close(ours.grad, slow.grad)
    torch.testing.assert_close(scores.entropy, -(every.exp() * every).sum(dim=1).detach())
    torch.testing.assert_close(scores.log_sum_sq_probs, every.exp().square().sum(dim=1).log().detach())
    torch.testing.assert_close(scores.mean_logits, logits.mean(dim=1).detach())
    assert scores.is_top1.tolist() == (logits.argmax(dim=1) == labels).tolist()
    assert scores.is_top1[0]
    without = label_logps(hidden, weight, labels, outputs=("log_probs",))
    assert without.entropy is None
    assert torch.equal(without.log_probs, scores.log_probs)  # the reference's and the policy's before a step


def test_a_label_that_the_head_does_not_have_is_no_number() -> None:
    scores = label_logps(torch.ones(2, 4), torch.ones(3, 4), torch.tensor([2, 3]), outputs=("log_probs",))
    assert scores.log_probs.isnan().tolist() == [False, True]


def test_a_model_with_an_adapter_gives_trls_numbers_from_its_frozen_head() -> None:
    stock, shared = tiny_model(), tiny_model()
    for model in (stock, shared):
        add_fused_lm_head(model, outputs=OUTPUTS)
        model.requires_grad_(False)
        model.model.layers[0].mlp.up_proj.weight.requires_grad_()
    add_shared_prefix(shared, outputs=OUTPUTS)
    assert can_score(shared)

    expected, came = run(stock), run(shared)

    for output in OUTPUTS:
        torch.testing.assert_close(came[output], expected[output], atol=2e-5, rtol=1e-5)
    expected["log_probs"].square().sum().backward()
    came["log_probs"].square().sum().backward()
    torch.testing.assert_close(
        shared.model.layers[0].mlp.up_proj.weight.grad,
        stock.model.layers[0].mlp.up_proj.weight.grad,
        atol=2e-3,
        rtol=1e-4,
    )
