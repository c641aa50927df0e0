"""`python -m benchmarks.mmlu`: questions a second, against lm-eval's stock run on the same questions.

Needs models/base (`dvc repro base_model`). Few-shot needs a folder of MMLU CSV files, named by
BENCH_MMLU: dev is shown, val is asked. Stock is lm-eval's HFLM on the same loaded model, in its
own batches; both give per-question answers, which must be identical. The two take turns, and each
time is the better of N_ROUNDS. CPU seconds stand beside wall seconds: on a machine that does other
work as well, only they compare. Writes benchmarks/results/mmlu.json.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stages import paths
from stages.core.mmlu import QuestionSet, sample_questions
from stages.errors import RuntimeCheckError
from stages.io import write_json
from stages.params import load_params
from stages.progress import say
from stages.shell import run_stage

if TYPE_CHECKING:
    from lm_eval.models.huggingface import HFLM

    from stages.adapters.lm_eval import OptionScores, Scoring

RESULTS = Path("benchmarks/results/mmlu.json")
N_ROUNDS = 2
N_ZERO_SHOT = 57
N_FEW_SHOT_SUBJECTS = 2  # whole subjects, because what a subject's questions share is the point
NUM_FEWSHOT = 5
STOCK_BATCH_SIZE = 8


class Run(NamedTuple):
    """One way of asking: questions, scoring and shots."""

    questions: QuestionSet
    scoring: "Scoring"
    num_fewshot: int


class Timed(NamedTuple):
    """Scores and what they took."""

    scores: list["OptionScores"]
    seconds: float
    cpu_seconds: float


def main() -> None:
    """Time both ways on every run that the machine has questions for."""
    params = load_params()

    from lm_eval.models.huggingface import HFLM

    from stages.adapters.checkpoint import load_model, load_tokenizer
    from stages.adapters.lm_eval import wrap_model

    tokenizer = load_tokenizer(paths.BASE_MODEL)
    model = load_model(paths.BASE_MODEL, None, params.runtime)
    ours = wrap_model(model, tokenizer, max_batch_tokens=params.mmlu.max_batch_tokens)
    stock = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=STOCK_BATCH_SIZE, backend="causal")
    results = [compare(ours, stock, run) for run in choose_runs(os.environ.get("BENCH_MMLU"))]
    write_json(
        RESULTS,
        {
            "model": model.config.model_type,
            "n_parameters": sum(weights.numel() for weights in model.parameters()),
            "device": params.runtime.device,
            "dtype": params.runtime.dtype,
            "n_threads": params.runtime.n_threads,
            "runs": results,
        },
    )


def choose_runs(folder: str | None) -> list[Run]:
    """Bundled questions without examples, and, where a folder is named, five-shot val questions."""
    from stages.adapters.mmlu_questions import load_bundled, load_csv

    bundled = load_bundled()
    items = sample_questions(bundled.items, n=N_ZERO_SHOT, seed=1)
    zero_shot = bundled._replace(items=items)
    runs = [Run(zero_shot, "letter", 0), Run(zero_shot, "continuation", 0)]
    if folder is None:
        say("benchmarks.mmlu: BENCH_MMLU names no folder of MMLU CSV files, so 0-shot only")
        return runs
    val = load_csv(Path(folder), num_fewshot=NUM_FEWSHOT)
    subjects = sorted({item.subject for item in val.items})[:N_FEW_SHOT_SUBJECTS]
    few_shot = val._replace(items=[item for item in val.items if item.subject in subjects])
    return [*runs, Run(few_shot, "letter", NUM_FEWSHOT), Run(few_shot, "continuation", NUM_FEWSHOT)]


def compare(ours: "HFLM", stock: "HFLM", run: Run) -> dict[str, object]:
    """Questions a second both ways; RuntimeCheckError where a question is answered differently."""
    n = len(run.questions.items)
    ask(ours, run._replace(questions=run.questions._replace(items=run.questions.items[:2])))  # warm-up
    timed, stock_timed = [], []
    for _ in range(N_ROUNDS):
        timed.append(clock(lambda: ask(ours, run)))
        stock_timed.append(clock(lambda: ask(stock, run)))
    found, expected = timed[-1].scores, stock_timed[-1].scores
    refuse_other_answers(found, expected)
    seconds, stock_seconds = (min(one.seconds for one in rounds) for rounds in (timed, stock_timed))
    cpu_seconds, stock_cpu_seconds = (
        min(one.cpu_seconds for one in rounds) for rounds in (timed, stock_timed)
    )
    say(
        f"{run.scoring}, {run.num_fewshot}-shot: "
        f"{n / seconds:.2f} questions/s, stock {n / stock_seconds:.2f}; "
        f"CPU {cpu_seconds / n:.2f} s a question, stock {stock_cpu_seconds / n:.2f}"
    )
    return {
        "scoring": run.scoring,
        "num_fewshot": run.num_fewshot,
        "n_questions": n,
        "questions_per_second": n / seconds,
        "stock_questions_per_second": n / stock_seconds,
        "speedup": stock_seconds / seconds,
        "cpu_seconds": cpu_seconds,
        "stock_cpu_seconds": stock_cpu_seconds,
        "cpu_speedup": stock_cpu_seconds / cpu_seconds,
        "largest_logprob_difference": max(
            abs(one - other)
            for mine, theirs in zip(found, expected, strict=True)
            for one, other in zip(mine.logprobs, theirs.logprobs, strict=True)
        ),
    }


def ask(lm: "HFLM", run: Run) -> list["OptionScores"]:
    """All questions of a run, through lm-eval's tasks."""
    from stages.adapters.lm_eval import score_questions

    return score_questions(
        lm, run.questions, scoring=run.scoring, num_fewshot=run.num_fewshot, apply_chat_template=False
    )


def clock(work: Callable[[], list["OptionScores"]]) -> Timed:
    """What the work returns, its wall time and its CPU time over all threads."""
    start, cpu_start = time.perf_counter(), time.process_time()
    scores = work()
    return Timed(scores, time.perf_counter() - start, time.process_time() - cpu_start)


def refuse_other_answers(found: list["OptionScores"], expected: list["OptionScores"]) -> None:
    """RuntimeCheckError naming the questions that the two ways answer differently."""
    others = [
        mine.question_id
        for mine, theirs in zip(found, expected, strict=True)
        if (mine.question_id, mine.predicted, mine.correct)
        != (theirs.question_id, theirs.predicted, theirs.correct)
    ]
    if others:
        raise RuntimeCheckError(
            f"benchmarks.mmlu: {len(others)} questions are answered differently: {others}"
        )


if __name__ == "__main__":
    run_stage(main)
