"""The parts of `benchmarks.gpu`. Each takes the parameters and whether it is only being tried."""

import gc
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
import yaml

from benchmarks.dpo_arm import record_losses
from benchmarks.gpu_clock import GIB, Stopwatch, attempt, now, on_this_device, peaks, reset_peak
from benchmarks.gpu_models import (
    TINY,
    describe_lengths,
    random_model,
    random_pairs,
    same_length_pairs,
    unscored_rows,
)
from benchmarks.gpu_training import EIGHT_BILLION, UNWATCHED, training
from stages.cli.pipeline import with_overrides
from stages.files.io import read_text
from stages.logprobs.reference import ReferenceRow
from stages.logprobs.scoring import prepare_for_scoring, score_pairs
from stages.model.rendered import RenderedPair, similar_length_batches
from stages.run.params import Params, RuntimeParams, TrainParams, WatchParams, parse_params
from stages.run.progress import say
from stages.sizing.estimates import estimate_stages
from stages.sizing.machine import measure_rates
from stages.sizing.memory import Lengths, Machine, Plan
from stages.sizing.plan import make_plan
from stages.sizing.shape import KNOWN_MODELS, ModelShape
from stages.training import dpo
from tests.support.tiny_models import tiny_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def rates(params: Params, _is_tiny: bool) -> dict[str, Any]:
    """What `doctor` measures: products of matrices and copies."""
    runtime = on_this_device(params.runtime)
    found = measure_rates(runtime)
    return {"tflops": found.flops_per_second / 1e12, "copied_gb_per_second": found.bytes_per_second / 1e9}


def long_rows(params: Params, is_tiny: bool) -> dict[str, Any]:
    """Rows of thousands of tokens, sdpa with a mask against flex attention: a step's time and memory."""
    runtime = on_this_device(params.runtime)
    shape = TINY if is_tiny else KNOWN_MODELS[EIGHT_BILLION]._replace(n_layers=8)
    train = params.train.model_copy(update={"lora_r": 32, "lora_alpha": 64})
    found: dict[str, Any] = {"shape": shape._asdict()}
    for n_row in (256,) if is_tiny else (1024, 4096, 8192, 16384):
        pairs = same_length_pairs(6, n_row=n_row, vocabulary=shape.vocabulary)
        for attention in ("sdpa", "flex_attention"):
            one = attempt(time_long, shape, pairs, runtime, train, params.watch, attention)
            say(f"  {n_row} tokens, {attention}: {one}")
            found[f"{n_row} tokens, {attention}"] = one
    return found


def time_long(
    shape: ModelShape,
    pairs: list[RenderedPair],
    runtime: RuntimeParams,
    train: TrainParams,
    watch: WatchParams,
    attention: str,
) -> dict[str, Any]:
    """One pair a step; the first steps compile."""
    runtime = runtime.model_copy(update={"attn_implementation": attention})
    train = train.model_copy(
        update={
            "num_train_epochs": 1.0,
            "per_device_train_batch_size": 1,
            "gradient_accumulation_steps": 1,
            "gradient_checkpointing": False,
            "learning_rate": 1e-12,
        }
    )
    rows = unscored_rows(pairs)
    with tempfile.TemporaryDirectory() as folder:
        trainer = dpo.build_trainer(
            random_model(shape, runtime), tiny_tokenizer(), rows, train=train, runtime=runtime,
            watch=watch.model_copy(update=UNWATCHED), checkpoints=Path(folder),
        )  # fmt: skip
        stopwatch = Stopwatch()
        trainer.add_callback(stopwatch)
        losses = record_losses(trainer)
        reset_peak()
        trainer.train()
    steps = [after - before for before, after in zip(stopwatch.ends[1:], stopwatch.ends[2:], strict=False)]
    return {"seconds_per_pair": median(steps), **peaks(), "losses": losses[:2]}


def sizes(_params: Params, is_tiny: bool) -> dict[str, Any]:
    """Every size for one card, on its model's shape and rows near max_length: predicted against measured."""
    found = {}
    for name in ("gpu-24gb", "gpu", "gpu-80gb-13b"):
        text = with_overrides(
            read_text(Path("params.yaml")), read_text(Path(f"sizes/{name}.yaml")), place=name
        )
        sized = parse_params(yaml.safe_load(text), place=name)
        sized = sized.model_copy(update={"runtime": on_this_device(sized.runtime)})
        shape = TINY if is_tiny else KNOWN_MODELS[sized.base_model.repo_id]
        found[name] = attempt(try_size, sized, shape)
        say(f"  {name}: {found[name]}")
    return found


def try_size(params: Params, shape: ModelShape) -> dict[str, Any]:
    """Score, check the first step and train two steps."""
    runtime, train = params.runtime, params.train.model_copy(update={"num_train_epochs": 1.0})
    n_pairs = 2 * train.per_device_train_batch_size * train.gradient_accumulation_steps
    pairs = random_pairs(n_pairs, vocabulary=shape.vocabulary, scale=2.4, seed=1)
    tokenizer = tiny_tokenizer()
    found: dict[str, Any] = {"lengths": describe_lengths(pairs)}
    with tempfile.TemporaryDirectory() as folder:  # TMPDIR says where: 16 GB in bfloat16
        make = model_maker(shape, runtime, Path(folder))
        reset_peak()
        model = make()
        found["weights_gib"] = peaks()["peak_gib"]
        prepare_for_scoring(model)
        reset_peak()
        start = now()
        scored = score_pairs(
            model, pairs, pad_token_id=tokenizer.pad_token_id, batch_size=params.rows.score_batch_size,
            label="reference",
        )  # fmt: skip
        found["reference"] = {"seconds_per_pair": (now() - start) / n_pairs, **peaks()}
        rows = [ReferenceRow(*pair, *scored[pair.pair_id]) for pair in pairs]
        del model
        gc.collect()
        trainer = dpo.build_trainer(
            make(), tokenizer, rows, train=train, runtime=runtime, watch=params.watch,
            checkpoints=Path(folder) / "run",
        )  # fmt: skip
        found["margins_before_step_one"] = margins_at_start(trainer, params.watch.margin_tolerance)
        reset_peak()
        start = now()
        trainer.train()
        found["train"] = {"seconds_per_pair": (now() - start) / n_pairs, **peaks()}
    estimates = {one.stage: one for one in estimate_stages(*planned(params, shape, pairs))}
    for stage in ("reference", "train"):
        found[stage]["predicted_gib"] = estimates[stage].memory_bytes / GIB
        found[stage]["predicted_seconds_per_pair"] = estimates[stage].seconds / n_pairs
    return found


def model_maker(shape: ModelShape, runtime: RuntimeParams, folder: Path) -> "Callable[[], PreTrainedModel]":
    """Draws the model; where it is held in 4 bits it is stored first and loaded as the stages load it."""
    if runtime.quantization == "none":
        return lambda: random_model(shape, runtime)
    from stages.model.checkpoint import load_model

    random_model(shape, runtime).save_pretrained(folder)
    gc.collect()
    torch.cuda.empty_cache()
    return lambda: load_model(folder, None, runtime)


def margins_at_start(trainer: Any, tolerance: float) -> dict[str, float]:
    """How far from 0 the margins are before the first step, in nats: what watch.margin_tolerance bounds."""
    pairs = [RenderedPair(*pair[:4]) for pair in trainer.pairs]
    batches = similar_length_batches(pairs, batch_size=trainer.args.per_device_train_batch_size)
    margins = [abs(margin) for batch in batches for margin in dpo.margins_now(trainer, batch).values()]
    return {
        "largest": max(margins),
        "median": median(margins),
        "tolerance": tolerance,
        "n": len(margins),
    }


def planned(
    params: Params, shape: ModelShape, pairs: list[RenderedPair]
) -> tuple[Plan, ModelShape, Lengths, Machine]:
    """What `doctor` would calculate with, but from the true lengths and the measured rate."""
    n_labels = [len(pair.chosen_ids) + len(pair.rejected_ids) for pair in pairs]
    rows = [pair.n_row_tokens for pair in pairs]
    lengths = Lengths(
        mean_row=sum(rows) / len(rows),
        longest_row=max(rows),
        mean_labels=sum(n_labels) / len(pairs),
        longest_labels=max(n_labels),
        mean_prompt=sum(len(pair.prompt_ids) for pair in pairs) / len(pairs),
    )
    plan = make_plan(params, len(pairs) + params.split.n_holdout + params.split.n_selection)
    plan = plan._replace(n_train=len(pairs), n_selection=0, n_holdout=0, n_epochs=1.0)
    found = measure_rates(params.runtime)
    return plan, shape, lengths, Machine(139 * GIB, found.flops_per_second, found.bytes_per_second)


def mmlu(params: Params, is_tiny: bool) -> dict[str, Any]:
    """Made-up questions, five-shot: a second so many of ours and, on fewer, of lm-eval's own model class."""
    import logging

    from lm_eval.models.huggingface import HFLM

    from stages.inference.mmlu.lm_eval import score_questions, wrap_model

    runtime = on_this_device(params.runtime)
    shape = TINY if is_tiny else KNOWN_MODELS[EIGHT_BILLION]
    tokenizer = tiny_tokenizer()
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    model = random_model(shape, runtime)
    model.config.max_position_embeddings = 8192
    many, few = made_up_questions(2 if is_tiny else 53), made_up_questions(1 if is_tiny else 4)
    found: dict[str, Any] = {}
    for scoring in ("letter", "continuation"):
        arguments = {"scoring": scoring, "num_fewshot": 5, "apply_chat_template": False}
        ours = wrap_model(model, tokenizer, max_batch_tokens=32768)
        score_questions(ours, made_up_questions(1), **arguments)
        start = now()
        scores = score_questions(ours, many, **arguments)
        seconds = now() - start
        stock = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=16, backend="causal")
        start = now()
        expected = score_questions(stock, few, **arguments)
        stock_seconds = now() - start
        again = {one.question_id: one for one in scores}
        shared = [(one, again[one.question_id]) for one in expected if one.question_id in again]
        found[scoring] = {
            "n_questions": len(many.items),
            "questions_per_second": len(many.items) / seconds,
            "stock_n_questions": len(few.items),
            "stock_questions_per_second": len(few.items) / stock_seconds,
            "answers_compared": len(shared),
            "answers_that_differ": sum(one.predicted != other.predicted for one, other in shared),
            "largest_logprob_difference": max(
                abs(a - b) for one, other in shared for a, b in zip(one.logprobs, other.logprobs, strict=True)
            ),
            **peaks(),
        }
        say(f"  {scoring}: {found[scoring]}")
    return found


def made_up_questions(n_each: int) -> Any:
    """`n_each` questions of each of MMLU's 57 subjects, about 130 tokens each with the tiny tokenizer."""
    from stages.inference.mmlu.questions import CATEGORY_OF, QuestionSet, make_questions

    subjects = sorted(CATEGORY_OF)

    def row(subject: str, number: int) -> tuple[str, str, list[str], int]:
        options = [f"{(number * 7 + letter * 13) % 97} families" for letter in range(4)]
        return (
            subject,
            f"Of {subject[:12]}, how many reading rooms does grant {number} fund?",
            options,
            number % 4,
        )

    questions = make_questions(row(subject, number) for subject in subjects for number in range(n_each))
    shown = make_questions(row(subject, 1000 + number) for subject in subjects for number in range(5))
    examples = {subject: [one for one in shown if one.subject == subject] for subject in subjects}
    return QuestionSet(questions, examples)


PARTS: dict[str, Callable[[Params, bool], dict[str, Any]]] = {
    "rates": rates,
    "training": training,
    "long_rows": long_rows,
    "sizes": sizes,
    "mmlu": mmlu,
}
