"""How long each stage takes, in seconds: arithmetic on a model's shape and the data's lengths.

Constants that are measured say where; docs/training.md compares the predictions with runs.
"""

from typing import NamedTuple

from stages.sizing.memory import (
    N_SUBJECTS,
    PROBE_ITEMS,
    PROBE_PROMPT_TOKENS,
    PROBE_TEXT_TOKENS,
    QUESTION_TOKENS,
    Lengths,
    Machine,
    Plan,
    Writing,
    generation_bytes,
    mmlu_bytes,
    probe_text_bytes,
    scoring_bytes,
    stored_bytes,
    training_bytes,
    weight_bytes,
)
from stages.sizing.shape import ModelShape

# Share of the measured matmul rate that a stage reaches, by what multiplies (`Plan.multiplies_by`). Intel's
# library: about 1, by runs of the built-in model. oneDNN: 0.3 (writing, training) to 0.7 (scoring) in the
# demo on two AMD cores. CUDA: an H200 reached 0.25 to 0.38 in training and 0.2 to 0.5 in scoring, the more
# the larger the batch (benchmarks/results/gpu.json); generation is bound by memory instead.
EFFICIENCY = {"mkl": 1.0, "onednn": 0.6, "cuda": 0.3}


# Before a stage computes: Python and its libraries, and on a GPU its context and kernels. CPU: the demo's
# nine processes take 8 to 13 s each (docs/benchmarks.md). CUDA: a guess, as is how fast weights are read.
START_SECONDS = {"cpu": 10.0, "cuda": 15.0}
LOADED_BYTES_PER_SECOND = 1e9
DOWNLOADED_BYTES_PER_SECOND = 1e8
# The stages that run no model, all together: 43 and 78 s in the demo on two machines, 19 and 27 of them
# `base_model`.
OTHER_SECONDS = 80.0


class StageEstimate(NamedTuple):
    """What one stage takes on one device; start-up and loading apart."""

    stage: str
    memory_bytes: float
    seconds: float
    start_seconds: float


def all_seconds(estimates: list[StageEstimate]) -> float:
    """Of the whole run but for the download."""
    return OTHER_SECONDS + sum(one.seconds + one.start_seconds for one in estimates)


def download_seconds(n_bytes: float) -> float:
    """At 100 MB/s."""
    return n_bytes / DOWNLOADED_BYTES_PER_SECOND


def estimate_stages(plan: Plan, shape: ModelShape, lengths: Lengths, machine: Machine) -> list[StageEstimate]:
    """Every stage that runs a model, in the pipeline's order; base and policy count as one each."""
    rate = machine.flops_per_second * EFFICIENCY[plan.multiplies_by]
    fresh = Writing(plan.n_prompts, plan.generate_batch, lengths.mean_prompt, plan.max_new_tokens)
    asked = Writing(PROBE_ITEMS, plan.probe_batch, PROBE_PROMPT_TOKENS, plan.probe_new_tokens)
    pair = _pair(shape, lengths) / rate / plan.n_scoring
    answers = mmlu_flops(plan, shape) / rate / plan.n_scoring
    probe = _generation_seconds(plan, shape, asked, machine) + probe_text_flops(shape) / rate / plan.n_scoring
    loading = START_SECONDS[plan.device] + stored_bytes(plan, shape) / LOADED_BYTES_PER_SECOND
    scoring = scoring_bytes(plan, shape, lengths)
    probing = max(generation_bytes(plan, shape, asked), probe_text_bytes(plan, shape))
    n_measured = plan.n_selection + plan.n_holdout
    training = training_flops(plan, shape, lengths) / rate / plan.n_processes
    writing = _generation_seconds(plan, shape, fresh, machine)
    return [
        StageEstimate("reference", scoring, (plan.n_train + n_measured) * pair, loading),
        StageEstimate("train", training_bytes(plan, shape, lengths), training, loading),
        StageEstimate("holdout", scoring, n_measured * pair, loading),
        StageEstimate("generate", generation_bytes(plan, shape, fresh), 2 * writing, 2 * loading),
        StageEstimate("mmlu", mmlu_bytes(plan, shape), 2 * answers, 2 * loading),
        StageEstimate("probe", probing, 2 * probe, 2 * loading),
    ]


def training_flops(plan: Plan, shape: ModelShape, lengths: Lengths) -> float:
    """Of all steps. Backward costs as much as forward where weights are frozen, twice as much where not."""
    passes = 3.0 if plan.method == "full" else 2.0
    passes += 1.0 if plan.checkpointing else 0.0
    return plan.n_trained * plan.n_epochs * passes * _pair(shape, lengths)


def probe_text_flops(shape: ModelShape) -> float:
    """Of one model's scores of the probe's texts."""
    n_tokens = PROBE_ITEMS * PROBE_TEXT_TOKENS
    return shape.forward_flops(n_tokens, n_tokens, context=PROBE_TEXT_TOKENS / 2)


def mmlu_flops(plan: Plan, shape: ModelShape) -> float:
    """Of one model's answers: each question once, each subject's examples once."""
    tokens = QUESTION_TOKENS * (plan.n_questions + N_SUBJECTS * plan.num_fewshot)
    context = QUESTION_TOKENS * (plan.num_fewshot + 0.5)
    return shape.forward_flops(tokens, 4 * plan.n_questions, context=context)


def _generation_seconds(plan: Plan, shape: ModelShape, writing: Writing, machine: Machine) -> float:
    """Each new token reads all weights once, or is bound by arithmetic where the batch is large."""
    n_batches = -(-writing.n_prompts // writing.batch // plan.n_scoring)
    flops = 2 * shape.n_weights * min(writing.batch, writing.n_prompts)
    reading = weight_bytes(plan, shape) / machine.bytes_per_second
    step = max(reading, flops / (machine.flops_per_second * EFFICIENCY[plan.multiplies_by]))
    n_tokens = writing.n_prompts * writing.prompt_tokens
    prompts = shape.forward_flops(n_tokens, writing.n_prompts, context=writing.prompt_tokens / 2)
    return n_batches * writing.new_tokens * step + prompts / machine.flops_per_second / plan.n_scoring


def _pair(shape: ModelShape, lengths: Lengths) -> float:
    """Forward arithmetic of one shared row."""
    return shape.forward_flops(lengths.mean_row, lengths.mean_labels, context=lengths.mean_row / 2)
