"""From `params.yaml` to the numbers that decide memory and time."""

from pathlib import Path
from typing import Any

from stages.model.processor import is_intels
from stages.run.accelerate_config import n_local_processes, read_config
from stages.run.params import Params, at_most
from stages.run.processes import n_cores
from stages.sizing.memory import Plan, Shards

ALL_QUESTIONS = {"bundled": 280, "csv": 14042, "hub": 14042}
# Bytes of an optimizer's state for a trained weight; what is paged counts as if it were on the card.
ADAM = 8.0
MOMENT_BYTES = {
    "adamw_bnb_8bit": 2.0, "paged_adamw_8bit": 2.0, "adafactor": 0.1, "sgd": 0.0, "rmsprop": 4.0,
    "adagrad": 4.0, }  # fmt: skip


def make_plan(params: Params, n_pairs: int) -> Plan:
    """The parameters that decide memory and time; `all` becomes the number there is."""
    train, size, split, runtime = params.train, params.size, params.split, params.runtime
    file = Path(params.processes.accelerate_config)
    config, n_scoring = read_config(file), n_local_processes(file)
    if runtime.device == "cpu":
        n_scoring = min(n_scoring, max(1, n_cores() // runtime.n_threads))
    n_learned = max(1, n_pairs - split.n_holdout - split.n_selection)
    n_processes = int(config.get("num_processes") or 1)
    n_train = at_most(size.n_train, n_learned)
    n_trained = at_most(train.n_pairs, n_train)
    n_per_step = train.per_device_train_batch_size * train.gradient_accumulation_steps * n_processes
    return Plan(
        device=runtime.device,
        method=train.method,
        is_quantized=runtime.quantization == "nf4",
        element_bytes=4 if runtime.dtype == "float32" else 2,
        lora_rank=train.lora_r,
        lora_dropout=train.lora_dropout > 0,
        use_dora=train.use_dora,
        moment_bytes=MOMENT_BYTES.get(train.optim, ADAM),
        checkpointing=train.gradient_checkpointing,
        multiplies_by="cuda" if runtime.device == "cuda" else "mkl" if is_intels() else "onednn",
        n_processes=n_processes,
        n_scoring=n_scoring,
        shards=_shards(config),
        n_train=n_train,
        n_trained=n_trained,
        n_selection=at_most(size.n_selection_scored, max(1, split.n_selection)),
        n_holdout=at_most(size.n_holdout_scored, split.n_holdout),
        n_epochs=train.num_train_epochs or (train.max_steps or 0) * n_per_step / n_trained,
        train_batch=train.per_device_train_batch_size,
        score_batch=params.rows.score_batch_size,
        n_prompts=params.generate.n_prompts,
        generate_batch=params.generate.batch_size,
        max_new_tokens=params.generate.max_new_tokens,
        n_questions=at_most(size.n_questions, ALL_QUESTIONS[params.mmlu.source]),
        num_fewshot=params.mmlu.num_fewshot,
        question_tokens_at_once=params.mmlu.max_batch_tokens,
        probe_batch=params.probe.batch_size,
        probe_new_tokens=params.probe.max_new_tokens,
    )


def _shards(config: dict[str, Any]) -> Shards:
    zero = (config.get("deepspeed_config") or {}).get("zero_stage")
    if config["distributed_type"] == "FSDP" or zero == 3:
        return "all"
    return "moments" if config["distributed_type"] == "DEEPSPEED" else "none"
