"""How much memory each stage takes on one device, in bytes: arithmetic on a model's shape and the lengths.

Constants that are measured say where; docs/training.md compares the predictions with runs.
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
# What PEFT's own forward keeps more, in hidden, key and intermediate widths, counted in the same way in
# bfloat16: with dropout (its masks and what it leaves), with DoRA (outputs of both products).
MORE_BY_DROPOUT, MORE_BY_DORA = (13.0, 0.0, 2.0), (10.0, 4.0, 4.0)
# Gaps between what is freed and what is asked for next, since batches differ in length, as a share of what is
# kept. On a CPU a process keeps what it frees (model/cpu.py): runs of the built-in model leave up to a fifth
# of it by MKL, Intel's, and up to half by oneDNN, the way that other makers' processors multiply.
GAPS = {"mkl": 0.2, "onednn": 0.5, "cuda": 0.15}
# A frozen float32 head on a CPU works on this many bytes of logits at a time (fast/label_logps.py), and
# keeps some rows of the hidden width a label: states, their softmax means, the gradient's direction.
TILE_BYTES, ROWS_PER_LABEL = 4 * 2**21, 4
# Any other head: float32 copies of the labelled tokens' log-probs over the vocabulary. CPU: fitted to two
# runs of the built-in model. CUDA: the fused kernel works in tiles; half a copy is a careful guess.
HEAD_COPIES = {"cpu": 6.0, "cuda": 0.5}
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
    lora_dropout: bool
    use_dora: bool
    moment_bytes: float  # of a trained weight
    checkpointing: bool
    multiplies_by: Literal["mkl", "onednn", "cuda"]
    n_processes: int
    n_scoring: int  # processes of this machine in a stage that only runs the model
    shards: Shards
    n_train: int  # scored by `reference`
    n_trained: int  # of these, what `train` learns from
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


def stored_bytes(plan: Plan, shape: ModelShape) -> float:
    """The base as a checkpoint."""
    return (4.0 if plan.element_bytes == 4 else 2.0) * shape.n_weights


def weight_bytes(plan: Plan, shape: ModelShape) -> float:
    """The weights as `load_model` holds them; with nf4 embeddings, head and norms keep their dtype."""
    if not plan.is_quantized:
        return shape.n_weights * plan.element_bytes
    return shape.n_linear * NF4_BYTES + (shape.n_weights - shape.n_linear) * plan.element_bytes


def kept_elements(plan: Plan, shape: ModelShape) -> float:
    """Elements one token leaves behind in one layer for the backward pass, without checkpointing."""
    own = [(MORE_BY_DROPOUT, plan.lora_dropout), (MORE_BY_DORA, plan.use_dora)]
    more = [widths for widths, is_on in own if is_on and plan.method != "full"]
    if more:
        widths = (shape.hidden, shape.key_width, shape.intermediate)
        extra = sum(n * width for each in more for n, width in zip(each, widths, strict=True))
        return extra + kept_elements(plan._replace(lora_dropout=False, use_dora=False), shape)
    if plan.device == "cpu" and plan.method == "lora" and plan.element_bytes == 4 and shape.has_lean_gate:
        all_widths = (shape.hidden, shape.query_width, shape.key_width, shape.intermediate)
        return sum(n_arrays * width for n_arrays, width in zip(KEPT_LEAN, all_widths, strict=True))
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
    (Rajbhandari et al. 2020, ZeRO, section 3.1); QLoRA's adapter and its gradient are held in bfloat16.
    ZeRO-2 divides moments and gradients by the number of processes, FSDP2 and ZeRO-3 the weights as well.
    """
    tokens = plan.train_batch * lengths.longest_row
    layer = kept_elements(plan, shape) * plan.element_bytes
    kept = tokens * shape.n_layers * layer
    if plan.checkpointing:  # each layer's input, and one layer at a time in full (Chen et al. 2016)
        kept = tokens * (shape.n_layers * shape.hidden * plan.element_bytes + layer)
    is_tiled = _is_head_tiled(plan) and plan.method != "full"
    head = head_bytes(plan, shape, plan.train_batch * lengths.longest_labels, is_tiled=is_tiled)
    return BASE_BYTES[plan.device] + _state_bytes(plan, shape) + (1 + GAPS[plan.multiplies_by]) * kept + head


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
        weights, rest = 4.0 * shape.n_weights, (4.0 + plan.moment_bytes) * shape.n_weights
    else:
        weights = weight_bytes(plan, shape)
        # 4 bits: weight and gradient in bfloat16, and moments of 32 bits are no larger than that
        held = 4.0 + min(plan.moment_bytes, 4.0) if plan.method == "qlora" else 8.0 + plan.moment_bytes
        rest = held * shape.n_lora(plan.lora_rank)
    if plan.shards == "all":
        return max((weights + rest) / parts, weights)  # before it is cut, every device holds the whole model
    return weights + (rest / parts if plan.shards == "moments" else rest)


def _layer_bytes(plan: Plan, shape: ModelShape) -> int:
    """What one layer holds of a token while it works, where nothing is kept for backward."""
    return (4 * shape.hidden + 3 * shape.intermediate) * plan.element_bytes


def scoring_bytes(plan: Plan, shape: ModelShape, lengths: Lengths) -> float:
    """Peak of `reference` and `holdout`: one layer's products of the longest batch, and the head."""
    tokens = plan.score_batch * lengths.longest_row
    layer = tokens * _layer_bytes(plan, shape)
    n_labels = plan.score_batch * lengths.longest_labels
    is_tiled = _is_head_tiled(plan)
    head = head_bytes(plan, shape, n_labels, is_tiled=is_tiled) * (1.0 if is_tiled else 0.5)  # no gradient
    return BASE_BYTES[plan.device] + weight_bytes(plan, shape) + layer + head


def generation_bytes(plan: Plan, shape: ModelShape, writing: Writing) -> float:
    """Peak of writing completions: weights, one layer of the prompts, and one batch's keys and values.

    These are copied to a longer array for each token, which leaves gaps.
    """
    layer = writing.batch * writing.prompt_tokens * _layer_bytes(plan, shape)
    tokens = writing.batch * (writing.prompt_tokens + writing.new_tokens)
    cache = 2 * shape.n_layers * shape.key_width * plan.element_bytes * tokens
    held = layer + (1 + GAPS[plan.multiplies_by]) * cache + writing.batch * shape.vocabulary * 8
    return BASE_BYTES[plan.device] + weight_bytes(plan, shape) + held


def probe_text_bytes(plan: Plan, shape: ModelShape) -> float:
    """Peak of scoring the probe's texts: weights, one batch's logits, and room to make them in float32."""
    logits = plan.probe_batch * PROBE_TEXT_TOKENS * shape.vocabulary * (plan.element_bytes + 4)
    return BASE_BYTES[plan.device] + weight_bytes(plan, shape) + logits


def mmlu_bytes(plan: Plan, shape: ModelShape) -> float:
    """Peak of `mmlu`: weights, one layer of one batch of tokens, and the examples' keys and values.

    These are held for one row in all layers, and for the whole batch in the layer at work.
    """
    layer = plan.question_tokens_at_once * _layer_bytes(plan, shape)
    n_examples, n_rows = QUESTION_TOKENS * plan.num_fewshot, plan.question_tokens_at_once / QUESTION_TOKENS
    cache = 2 * shape.key_width * plan.element_bytes * n_examples * (shape.n_layers + n_rows)
    head = 512 * shape.vocabulary * 8
    return BASE_BYTES[plan.device] + weight_bytes(plan, shape) + layer + cache + head
