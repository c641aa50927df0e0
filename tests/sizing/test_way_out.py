"""Predictions of memory and time: against published sizes, against measured runs, and what is advised."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from stages.logprobs.fast.label_logps import ROWS_AT_ONCE, WORDS_AT_ONCE
from stages.model_sources.build import only_gguf
from stages.sizing.estimates import estimate_stages
from stages.sizing.lengths import PairCharacters, estimate_lengths
from stages.sizing.memory import (
    GAPS,
    TILE_BYTES,
    Lengths,
    Machine,
    Plan,
    scoring_bytes,
    training_bytes,
    weight_bytes,
)
from stages.sizing.model_config import shape_from_gguf
from stages.sizing.shape import KNOWN_MODELS, ModelShape, shape_from_config
from stages.sizing.way_out import GIB, disk_bytes, find_misfits

SMOLLM = ModelShape(30, 576, 1536, 576, 192, 49152, is_tied=True, has_lean_gate=True)
QWEN_7B = KNOWN_MODELS["Qwen/Qwen2.5-7B-Instruct"]
SAMPLE = Lengths(mean_row=506, longest_row=590, mean_labels=440, longest_labels=520, mean_prompt=60)
TWO_CORES = Machine(23 * GIB, 127e9, 1e10)


def plan(**changes: Any) -> Plan:
    """The built-in demo."""
    fields: dict[str, Any] = {
        "device": "cpu", "method": "lora", "is_quantized": False, "element_bytes": 4, "lora_rank": 16,
        "lora_dropout": False, "use_dora": False, "moment_bytes": 8.0, "multiplies_by": "mkl", "n_scoring": 1,
        "checkpointing": False, "n_processes": 1, "shards": "none", "n_train": 32, "n_trained": 32,
        "n_selection": 16, "n_holdout": 40, "n_epochs": 1.0, "train_batch": 2, "score_batch": 8, "n_prompts": 50,
        "generate_batch": 25, "max_new_tokens": 96, "n_questions": 114, "num_fewshot": 0,
        "question_tokens_at_once": 1024, "probe_batch": 12, "probe_new_tokens": 40,
    }  # fmt: skip
    return Plan(**fields | changes)


def on_gpu(**changes: Any) -> Plan:
    counts = {"n_train": 2000, "n_trained": 2000, "n_holdout": 300}
    return plan(device="cuda", multiplies_by="cuda", element_bytes=2, **counts | changes)


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", 7.616), ("Qwen/Qwen2.5-14B-Instruct", 14.770), ("Qwen/Qwen3-8B", 8.191),
        ("meta-llama/Llama-3.1-8B-Instruct", 8.030), ("mistralai/Mistral-7B-Instruct-v0.3", 7.248),
        ("meta-llama/Llama-2-13b-chat-hf", 13.016),
    ],
)  # fmt: skip
def test_known_models_have_their_published_number_of_weights(name: str, billions: float) -> None:
    assert KNOWN_MODELS[name].n_weights / 1e9 == pytest.approx(billions, rel=1e-3)


def test_the_table_has_the_built_in_model_as_its_file_has_it() -> None:
    package = yaml.safe_load(
        (Path(__file__).parent.parent.parent / "params.yaml").read_text(encoding="utf-8")
    )["base_model"]["package"]
    assert KNOWN_MODELS[package] == shape_from_gguf(only_gguf(package.split("==")[0])) == SMOLLM


def test_a_config_gives_the_shape_that_the_table_has() -> None:
    config = {
        "num_hidden_layers": 28, "hidden_size": 3584, "intermediate_size": 18944, "num_attention_heads": 28,
        "num_key_value_heads": 4, "vocab_size": 152064, "tie_word_embeddings": False, "model_type": "qwen2",
        "hidden_act": "silu",
    }  # fmt: skip
    assert shape_from_config(config) == QWEN_7B
    for model_type in ("gemma3_text", None, [], {}, 7):  # whatever a config may hold
        assert not shape_from_config(config | {"model_type": model_type}).has_lean_gate
    with pytest.raises(ValueError, match="has no vocab_size"):
        shape_from_config({key: value for key, value in config.items() if key != "vocab_size"})
    with pytest.raises(ValueError, match="mixture of experts"):
        shape_from_config(config | {"num_local_experts": 8})


def test_lora_and_forward_arithmetic_by_hand() -> None:
    shape = ModelShape(1, 2, 3, 4, 2, 10, is_tied=False, has_lean_gate=True)
    # q 2x4, o 4x2, k and v 2x2 each, three of 2x3
    assert shape.n_linear == 8 + 8 + 4 + 4 + 18
    # rank 1: q and o 6 each, k and v 4 each, three of 5
    assert shape.n_lora(1) == 12 + 8 + 15
    # 5 tokens: 2 x 42 each, attention 4 x 4 x 3 each; 1 label: 2 x 10 x 2
    assert shape.forward_flops(5, 1, context=3) == 5 * (84 + 48) + 40


# Runs of the built-in model on the longest pairs of the sample: docs/training.md.
LONGEST = SAMPLE._replace(longest_row=623, longest_labels=506)


@pytest.mark.parametrize(("batch", "measured_gib"), [(2, 2.36), (4, 3.42), (8, 5.74)])
def test_training_memory_is_at_most_a_fifth_above_measured_runs(batch: int, measured_gib: float) -> None:
    """Of two batches each on Intel, after which the heap has few gaps yet: docs/decisions/0011."""
    predicted = training_bytes(plan(train_batch=batch), SMOLLM, LONGEST) / GIB
    assert measured_gib < predicted < 1.2 * measured_gib


@pytest.mark.parametrize(("batch", "measured_gib"), [(1, 1.05), (2, 1.08), (4, 1.15), (8, 1.23)])
def test_scoring_memory_is_at_most_a_fifth_above_measured_runs(batch: int, measured_gib: float) -> None:
    predicted = scoring_bytes(plan(score_batch=batch), SMOLLM, LONGEST) / GIB
    assert measured_gib < predicted < 1.2 * measured_gib


def test_the_tiles_of_the_head_are_those_of_the_code() -> None:
    assert torch.float32.itemsize * ROWS_AT_ONCE * WORDS_AT_ONCE == TILE_BYTES


def test_times_are_within_a_factor_of_two_of_measured_runs() -> None:
    estimates = {one.stage: one for one in estimate_stages(plan(), SMOLLM, SAMPLE, TWO_CORES)}
    assert 0.5 < estimates["reference"].seconds / (88 * 0.63) < 2
    assert 0.5 < estimates["train"].seconds / (32 / 0.65) < 2


def test_nf4_keeps_the_embeddings_in_their_dtype() -> None:
    quantized = weight_bytes(on_gpu(is_quantized=True, method="qlora"), QWEN_7B)
    assert quantized == pytest.approx(QWEN_7B.n_linear * 0.516 + QWEN_7B.n_embedding * 2, rel=0.01)


@pytest.mark.parametrize(
    ("field", "more"), [("train_batch", 4), ("lora_rank", 64), ("method", "full"), ("element_bytes", 4)]
)
def test_more_work_takes_more_memory(field: str, more: Any) -> None:
    first = on_gpu(train_batch=2)
    assert training_bytes(first._replace(**{field: more}), QWEN_7B, SAMPLE) > training_bytes(
        first, QWEN_7B, SAMPLE
    )


def test_a_gate_that_is_not_lean_takes_one_array_more_of_each_token_and_layer() -> None:
    usual = training_bytes(on_gpu(), QWEN_7B, SAMPLE)
    more = training_bytes(on_gpu(), QWEN_7B._replace(has_lean_gate=False), SAMPLE) - usual
    n_tokens = 2 * SAMPLE.longest_row
    assert more == pytest.approx((1 + GAPS["cuda"]) * n_tokens * QWEN_7B.n_layers * QWEN_7B.intermediate * 2)


def test_sharding_and_checkpointing_take_less() -> None:
    full = on_gpu(method="full")
    ddp, zero2, fsdp = (
        training_bytes(full._replace(n_processes=8, shards=shards), QWEN_7B, SAMPLE)
        for shards in ("none", "moments", "all")
    )
    assert fsdp < zero2 < ddp == training_bytes(full, QWEN_7B, SAMPLE)
    assert training_bytes(full._replace(checkpointing=True), QWEN_7B, SAMPLE) < ddp


def test_what_fits_has_no_finding() -> None:
    assert find_misfits(plan(), SMOLLM, SAMPLE, TWO_CORES) == []


def test_a_batch_that_is_too_large_is_halved_until_it_fits() -> None:
    small = TWO_CORES._replace(memory_bytes=3 * GIB)
    (finding,) = find_misfits(plan(train_batch=8, score_batch=1), SMOLLM, SAMPLE, small)
    assert finding.place == "train"
    assert "set train.per_device_train_batch_size 2 and train.gradient_accumulation_steps" in finding.way_out


def test_a_card_too_small_for_the_weights_is_told_to_quantise() -> None:
    card = Machine(12 * GIB, 1e14, 5e11)
    findings = find_misfits(on_gpu(checkpointing=True), QWEN_7B, SAMPLE, card)
    assert {finding.place for finding in findings} == {
        "reference", "train", "holdout", "generate", "mmlu", "probe",
    }  # fmt: skip
    assert all("runtime.quantization nf4" in finding.way_out for finding in findings)


def test_full_fine_tuning_on_one_card_is_told_to_shard_or_give_up() -> None:
    (finding,) = find_misfits(
        on_gpu(method="full", checkpointing=True, score_batch=2),
        QWEN_7B,
        SAMPLE,
        Machine(79 * GIB, 5e14, 2e12),
    )
    assert "fsdp2.yaml on 2 such devices" in finding.way_out
    tiny = find_misfits(
        plan(train_batch=1, score_batch=1), QWEN_7B, SAMPLE, TWO_CORES._replace(memory_bytes=GIB)
    )
    assert "choose a smaller model" in tiny[0].way_out


def test_scoring_takes_less_than_training() -> None:
    assert scoring_bytes(plan(), SMOLLM, SAMPLE) < training_bytes(plan(train_batch=8), SMOLLM, SAMPLE)


def test_disk_counts_the_download_and_full_checkpoints() -> None:
    lora, full = on_gpu(), on_gpu(method="full")
    there = disk_bytes(lora, QWEN_7B, is_downloaded=True)
    assert disk_bytes(lora, QWEN_7B, is_downloaded=False) - there == 2 * QWEN_7B.n_weights
    assert disk_bytes(full, QWEN_7B, is_downloaded=True) > 36 * QWEN_7B.n_weights


def test_lengths_are_means_and_the_longest_to_expect() -> None:
    pairs = [PairCharacters(41, 41 * number, 41) for number in range(1, 101)]
    few, many = estimate_lengths(pairs, n_used=1), estimate_lengths(pairs, n_used=100000)
    assert few.mean_prompt == pytest.approx(10 + 30)
    assert few.mean_labels == pytest.approx(10 * 50.5 + 10)
    assert few.longest_row == pytest.approx(20 + 30 + 510)  # the median
    assert many.longest_row == pytest.approx(20 + 30 + 1000)
    with pytest.raises(ValueError, match="no pair"):
        estimate_lengths([], n_used=1)
