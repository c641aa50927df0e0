"""How much memory and time each stage will take: plain arithmetic on a model's shape and the data's lengths.

Memory in bytes, time in seconds. Constants that are measured say where; docs/training.md compares the
predictions with runs.
"""

from typing import Literal, NamedTuple

from stages.sizing.shape import ModelShape

Method = Literal["lora", "qlora", "full"]
Shards = Literal["none", "moments", "all"]

# What a process holds beside tensors: interpreter, libraries and, on a GPU, the CUDA context.
# CPU: `reference` of the built-in model took 0.63 GiB more than its weights, whatever its batch.
BASE_BYTES = {"cpu": 0.7e9, "cuda": 1.0e9}
# QLoRA (Dettmers et al. 2023, section 3): 4 bits and, double quantisation, 0.127 bits of constants a weight.
NF4_BYTES = (4 + 0.127) / 8
# Kept for the backward pass, in elements a token and layer, counted with torch's saved_tensors_hooks on Llama
# layers of several widths; a gated MLP that fast/layers.py does not know keeps one array more. All
# did when LoRA on an H200 kept 99,800 elements of a token of an 8B model; this counts 100,400 of such.
# All weights in 16 bits: float32 goes from layer to layer, which counts as two elements of 2 bytes.
KEPT_HIDDEN, KEPT_QUERY, KEPT_KEY, KEPT_INTERMEDIATE = 6.0, 4.0, 2.0, 3.0
KEPT_HIDDEN_FULL_16_BITS = 10.0
# The same of a LoRA layer on a CPU in float32 with a gate that is known (logprobs/fast/lora.py and, where no
# window slides over the row, logprobs/fast/packed_attention.py): on the built-in model some 7,060 of a token.
KEPT_LEAN = (4.0, 2.0, 2.0, 2.0)
# Gaps between what is freed and what is asked for next, since batches differ in length, as a share of what is
# kept. On a CPU a process keeps what it frees (model/cpu.py): runs of the built-in model on Intel
# leave up to a tenth of it by MKL and up to half by oneDNN, the way that other makers' processors multiply.
GAPS = {"cpu": 0.5, "cuda": 0.15}
# A frozen float32 head on a CPU works on this many bytes of logits at a time (fast/label_logps.py), and
# keeps some rows of the hidden width a label: states, their softmax means, the gradient's direction.
TILE_BYTES, ROWS_PER_LABEL = 4 * 2**21, 4
# Any other head: float32 copies of the labelled tokens' log-probs over the vocabulary. CPU: fitted to two
# runs of the built-in model. CUDA: the fused kernel works in tiles; half a copy is a careful guess.
HEAD_COPIES = {"cpu": 6.0, "cuda": 0.5}
# Share of the measured matmul rate that a stage reaches. CPU: runs of the built-in model lie within a factor
# of two of 1. CUDA: an H200 reached 0.25 to 0.38 in training and 0.2 to 0.5 in scoring, the more the larger
# the batch (benchmarks/results/gpu.json); generation is bound by memory instead.
EFFICIENCY = {"cpu": 1.0, "cuda": 0.3}
# MMLU questions with their options and few-shot examples, in tokens; a subject's examples are run once.
QUESTION_TOKENS, N_SUBJECTS = 130, 57
# The probe (inference/probe): how many texts and prompts; tokens of a text, of a prompt with its template.
PROBE_ITEMS, PROBE_TEXT_TOKENS, PROBE_PROMPT_TOKENS = 24, 102, 42


class Plan(NamedTuple):
    """What of the parameters decides memory and time."""

    device: Literal["cpu", "cuda"]
    method: Method
    is_quantized: bool
    element_bytes: int
    lora_rank: int
    checkpointing: bool
    n_processes: int
    shards: Shards
    n_train: int
    n_selection: int
    n_holdout: int
    n_epochs: float
    train_batch: int
    score_batch: int
    n_prompts: int
    generate_batch: int
    max_new_tokens: int
    n_questions: int
    num_fewshot: int
    question_tokens_at_once: int
    probe_batch: int
    probe_new_tokens: int


class Writing(NamedTuple):
    """Prompts to complete: how many, so many at once, tokens of one and of its completion."""

    n_prompts: int
    batch: int
    prompt_tokens: float
    new_tokens: int


class Lengths(NamedTuple):
    """Tokens of a pair: prompt and both completions (`row`), both completions (`labels`)."""

    mean_row: float
    longest_row: float
    mean_labels: float
    longest_labels: float
    mean_prompt: float


class Machine(NamedTuple):
    """One device: free memory, matmul rate and memory bandwidth, measured or from a data sheet."""

    memory_bytes: float
    flops_per_second: float
    bytes_per_second: float


class StageEstimate(NamedTuple):
    """What one stage takes on one device."""

    stage: str
    memory_bytes: float
    seconds: float


def estimate_stages(plan: Plan, shape: ModelShape, lengths: Lengths, machine: Machine) -> list[StageEstimate]:
    """Every stage that runs a model, in the pipeline's order; base and policy count as one each."""
    rate = machine.flops_per_second * EFFICIENCY[plan.device]
    fresh = Writing(plan.n_prompts, plan.generate_batch, lengths.mean_prompt, plan.max_new_tokens)
    asked = Writing(PROBE_ITEMS, plan.probe_batch, PROBE_PROMPT_TOKENS, plan.probe_new_tokens)
    return [
        StageEstimate(
            "reference", scoring_bytes(plan, shape, lengths), _n_scored(plan) * _pair(shape, lengths) / rate
        ),
        StageEstimate(
            "train",
            training_bytes(plan, shape, lengths),
            training_flops(plan, shape, lengths) / rate / plan.n_processes,
        ),
        StageEstimate(
            "holdout",
            scoring_bytes(plan, shape, lengths),
            (plan.n_selection + plan.n_holdout) * _pair(shape, lengths) / rate,
        ),
        StageEstimate(
            "generate",
            generation_bytes(plan, shape, fresh),
            2 * _generation_seconds(plan, shape, fresh, machine),
        ),
        StageEstimate("mmlu", mmlu_bytes(plan, shape), 2 * mmlu_flops(plan, shape) / rate),
        StageEstimate(
            "probe",
            max(generation_bytes(plan, shape, asked), probe_text_bytes(plan, shape)),
            2 * (_generation_seconds(plan, shape, asked, machine) + probe_text_flops(shape) / rate),
        ),
    ]


def weight_bytes(plan: Plan, shape: ModelShape) -> float:
    """The weights as `load_model` holds them; with nf4 embeddings, head and norms keep their dtype."""
    if not plan.is_quantized:
        return shape.n_weights * plan.element_bytes
    return shape.n_linear * NF4_BYTES + (shape.n_weights - shape.n_linear) * plan.element_bytes


def kept_elements(plan: Plan, shape: ModelShape) -> float:
    """Elements one token leaves behind in one layer for the backward pass, without checkpointing."""
    if plan.device == "cpu" and plan.method == "lora" and plan.element_bytes == 4 and shape.has_lean_gate:
        widths = (shape.hidden, shape.query_width, shape.key_width, shape.intermediate)
        return sum(n_arrays * width for n_arrays, width in zip(KEPT_LEAN, widths, strict=True))
    is_full_16_bits = plan.method == "full" and plan.element_bytes == 2
    return (
        (KEPT_HIDDEN_FULL_16_BITS if is_full_16_bits else KEPT_HIDDEN) * shape.hidden
        + KEPT_QUERY * shape.query_width
        + KEPT_KEY * shape.key_width
        + (KEPT_INTERMEDIATE if shape.has_lean_gate else KEPT_INTERMEDIATE + 1) * shape.intermediate
    )


def training_bytes(plan: Plan, shape: ModelShape, lengths: Lengths) -> float:
    """Peak of `train` on one device: weights, gradients and moments, activations of the longest batch, head.

    Mixed precision with Adam takes 16 bytes a trained weight: weight, gradient and two moments in float32
    (Rajbhandari et al. 2020, ZeRO, section 3.1); QLoRA's adapter is held in bfloat16, so 8. ZeRO-2 and
    DeepSpeed divide moments and gradients by the number of processes, FSDP2 and ZeRO-3 the weights as well.
    """
    tokens = plan.train_batch * lengths.longest_row
    layer = kept_elements(plan, shape) * plan.element_bytes
    kept = tokens * shape.n_layers * layer
    if plan.checkpointing:  # each layer's input, and one layer at a time in full (Chen et al. 2016)
        kept = tokens * (shape.n_layers * shape.hidden * plan.element_bytes + layer)
    is_tiled = _is_head_tiled(plan) and plan.method != "full"
    head = head_bytes(plan, shape, plan.train_batch * lengths.longest_labels, is_tiled=is_tiled)
    return BASE_BYTES[plan.device] + _state_bytes(plan, shape) + (1 + GAPS[plan.device]) * kept + head


def head_bytes(plan: Plan, shape: ModelShape, n_labels: float, *, is_tiled: bool) -> float:
    """What the LM head takes for a batch of `n_labels`, in a training step."""
    if is_tiled:
        return TILE_BYTES + ROWS_PER_LABEL * n_labels * shape.hidden * 4
    return HEAD_COPIES[plan.device] * n_labels * shape.vocabulary * 4


def _is_head_tiled(plan: Plan) -> bool:
    return plan.device == "cpu" and plan.element_bytes == 4


def _state_bytes(plan: Plan, shape: ModelShape) -> float:
    parts = plan.n_processes
    if plan.method == "full":
        weights, rest = 4.0 * shape.n_weights, 12.0 * shape.n_weights
    else:
        weights = weight_bytes(plan, shape)
        rest = (8.0 if plan.method == "qlora" else 16.0) * shape.n_lora(plan.lora_rank)
    if plan.shards == "all":
        return max((weights + rest) / parts, weights)  # before it is cut, every device holds the whole model
    return weights + (rest / parts if plan.shards == "moments" else rest)


def training_flops(plan: Plan, shape: ModelShape, lengths: Lengths) -> float:
    """Of all steps. Backward costs as much as forward where weights are frozen, twice as much where not."""
    passes = 3.0 if plan.method == "full" else 2.0
    passes += 1.0 if plan.checkpointing else 0.0
    return plan.n_train * plan.n_epochs * passes * _pair(shape, lengths)


def scoring_bytes(plan: Plan, shape: ModelShape, lengths: Lengths) -> float:
    """Peak of `reference` and `holdout`: one layer's products of the longest batch, and the head."""
    tokens = plan.score_batch * lengths.longest_row
    layer = tokens * (4 * shape.hidden + 3 * shape.intermediate) * plan.element_bytes
    n_labels = plan.score_batch * lengths.longest_labels
    is_tiled = _is_head_tiled(plan)
    head = head_bytes(plan, shape, n_labels, is_tiled=is_tiled) * (1.0 if is_tiled else 0.5)  # no gradient
    return BASE_BYTES[plan.device] + weight_bytes(plan, shape) + layer + head


def generation_bytes(plan: Plan, shape: ModelShape, writing: Writing) -> float:
    """Peak of writing completions: weights and the cache of keys and values of one batch."""
    tokens = writing.batch * (writing.prompt_tokens + writing.new_tokens)
    cache = 2 * shape.n_layers * shape.key_width * plan.element_bytes * tokens
    return BASE_BYTES[plan.device] + weight_bytes(plan, shape) + cache + writing.batch * shape.vocabulary * 8


def probe_text_bytes(plan: Plan, shape: ModelShape) -> float:
    """Peak of scoring the probe's texts: weights, and one batch's logits with their float32 log-probs."""
    logits = plan.probe_batch * PROBE_TEXT_TOKENS * shape.vocabulary * (plan.element_bytes + 4)
    return BASE_BYTES[plan.device] + weight_bytes(plan, shape) + logits


def probe_text_flops(shape: ModelShape) -> float:
    """Of one model's scores of the probe's texts."""
    n_tokens = PROBE_ITEMS * PROBE_TEXT_TOKENS
    return shape.forward_flops(n_tokens, n_tokens, context=PROBE_TEXT_TOKENS / 2)


def mmlu_bytes(plan: Plan, shape: ModelShape) -> float:
    """Peak of `mmlu`: weights and one layer of one batch of tokens."""
    layer = plan.question_tokens_at_once * (4 * shape.hidden + 3 * shape.intermediate) * plan.element_bytes
    return BASE_BYTES[plan.device] + weight_bytes(plan, shape) + layer + 512 * shape.vocabulary * 8


def mmlu_flops(plan: Plan, shape: ModelShape) -> float:
    """Of one model's answers: each question once, each subject's examples once."""
    tokens = QUESTION_TOKENS * (plan.n_questions + N_SUBJECTS * plan.num_fewshot)
    context = QUESTION_TOKENS * (plan.num_fewshot + 0.5)
    return shape.forward_flops(tokens, 4 * plan.n_questions, context=context)


def _generation_seconds(plan: Plan, shape: ModelShape, writing: Writing, machine: Machine) -> float:
    """Each new token reads all weights once, or is bound by arithmetic where the batch is large."""
    n_batches = -(-writing.n_prompts // writing.batch)
    flops = 2 * shape.n_weights * min(writing.batch, writing.n_prompts)
    reading = weight_bytes(plan, shape) / machine.bytes_per_second
    step = max(reading, flops / (machine.flops_per_second * EFFICIENCY[plan.device]))
    n_tokens = writing.n_prompts * writing.prompt_tokens
    prompts = shape.forward_flops(n_tokens, writing.n_prompts, context=writing.prompt_tokens / 2)
    return n_batches * writing.new_tokens * step + prompts / machine.flops_per_second


def _pair(shape: ModelShape, lengths: Lengths) -> float:
    """Forward arithmetic of one shared row."""
    return shape.forward_flops(lengths.mean_row, lengths.mean_labels, context=lengths.mean_row / 2)


def _n_scored(plan: Plan) -> int:
    return plan.n_train + plan.n_selection + plan.n_holdout
