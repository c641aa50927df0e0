"""`python -m benchmarks.mmlu [--smoke]`: questions a second, against lm-eval's stock run on the same ones.

Needs models/base (`dvc repro base_model`). Few-shot needs a folder of MMLU CSV files, named by
BENCH_MMLU: dev is shown, val is asked. Stock is lm-eval's HFLM on the same loaded model, in its
own batches; both give per-question answers, which must be identical. The two take turns, and each
time is the better of the rounds. CPU seconds stand beside wall seconds: on a machine that does other
work as well, only they compare. Few-shot asks a few whole subjects' worth less than there is, so that
all of it takes about a quarter of an hour on two cores: what a subject's questions share is then paid
for by few of them, and a full run gains more. `--smoke` asks a handful once and writes nothing;
otherwise benchmarks/results/mmlu.json is written.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stages.errors import ParamsError, RuntimeCheckError
from stages.files.hashing import hex_digest
from stages.files.io import write_json
from stages.inference.mmlu.questions import MmluQuestion, QuestionSet, sample_questions
from stages.run import paths
from stages.run.params import load_params
from stages.run.progress import say
from stages.run.shell import run_stage

if TYPE_CHECKING:
    from lm_eval.models.huggingface import HFLM

    from stages.inference.mmlu.lm_eval import OptionScores, Scoring

RESULTS = Path("benchmarks/results/mmlu.json")
NUM_FEWSHOT = 5
STOCK_BATCH_SIZE = 8
MAX_EXAMPLE_CHARACTERS = 4000  # of a subject's examples; longer ones do not fit a small model's context


class Effort(NamedTuple):
    """How much is asked. Stock needs a forward pass an option in continuation, so fewer of those."""

    n_rounds: int
    n_zero_shot: int
    n_subjects: int
    n_letter: int  # five-shot questions of each subject
    n_continuation: int


FULL = Effort(n_rounds=2, n_zero_shot=40, n_subjects=2, n_letter=10, n_continuation=4)
SMOKE = Effort(n_rounds=1, n_zero_shot=2, n_subjects=1, n_letter=2, n_continuation=1)


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
    is_smoke = read_arguments(sys.argv[1:])
    effort = SMOKE if is_smoke else FULL
    params = load_params()

    from lm_eval.models.huggingface import HFLM

    from stages.inference.mmlu.lm_eval import wrap_model
    from stages.model.checkpoint import load_model, load_tokenizer

    tokenizer = load_tokenizer(paths.BASE_MODEL)
    model = load_model(paths.BASE_MODEL, None, params.runtime)
    ours = wrap_model(model, tokenizer, max_batch_tokens=params.mmlu.max_batch_tokens)
    stock = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=STOCK_BATCH_SIZE, backend="causal")
    runs = choose_runs(os.environ.get("BENCH_MMLU"), effort)
    results = [compare(ours, stock, run, n_rounds=effort.n_rounds) for run in runs]
    if is_smoke:
        say("benchmarks.mmlu: answers agree; --smoke writes nothing")
        return
    write_json(
        RESULTS,
        {
            "model": model.config.model_type,
            "n_parameters": sum(weights.numel() for weights in model.parameters()),
            "device": params.runtime.device,
            "dtype": params.runtime.dtype,
            "n_threads": params.runtime.n_threads,
            "n_rounds": effort.n_rounds,
            "runs": results,
        },
    )


def read_arguments(arguments: list[str]) -> bool:
    """Whether only a handful is to be asked; ParamsError for anything but `--smoke`."""
    if arguments not in ([], ["--smoke"]):
        raise ParamsError("usage: python -m benchmarks.mmlu [--smoke]")
    return bool(arguments)


def choose_runs(folder: str | None, effort: Effort) -> list[Run]:
    """Bundled questions without examples, and, where a folder is named, five-shot val questions."""
    from stages.inference.mmlu.sources import load_bundled, load_csv

    bundled = load_bundled()
    zero_shot = bundled._replace(items=sample_questions(bundled.items, n=effort.n_zero_shot, seed=1))
    runs = [Run(zero_shot, "letter", 0), Run(zero_shot, "continuation", 0)]
    if folder is None:
        say("benchmarks.mmlu: BENCH_MMLU names no folder of MMLU CSV files, so 0-shot only")
        return runs
    val = load_csv(Path(folder), num_fewshot=NUM_FEWSHOT)
    return [
        *runs,
        Run(sample_subjects(val, effort.n_subjects, effort.n_letter), "letter", NUM_FEWSHOT),
        Run(sample_subjects(val, effort.n_subjects, effort.n_continuation), "continuation", NUM_FEWSHOT),
    ]


def sample_subjects(questions: QuestionSet, n_subjects: int, n_each: int) -> QuestionSet:
    """At most `n_each` questions of each of `n_subjects` subjects, both drawn by hash."""

    def is_short(subject: str) -> bool:
        shown = questions.examples[subject]
        return sum(len(one.question) + sum(map(len, one.choices)) for one in shown) <= MAX_EXAMPLE_CHARACTERS

    subjects = sorted({item.subject for item in questions.items}, key=lambda name: hex_digest("bench", name))
    chosen = [subject for subject in subjects if is_short(subject)][:n_subjects]
    items: list[MmluQuestion] = []
    for subject in chosen:
        members = [item for item in questions.items if item.subject == subject]
        items += sorted(members, key=lambda item: hex_digest("bench", item.question_id))[:n_each]
    return questions._replace(items=items)


def compare(ours: "HFLM", stock: "HFLM", run: Run, *, n_rounds: int) -> dict[str, object]:
    """Questions a second both ways; RuntimeCheckError where a question is answered differently."""
    n = len(run.questions.items)
    ask(ours, run._replace(questions=run.questions._replace(items=run.questions.items[:2])))  # warm-up
    timed, stock_timed = [], []
    for number in range(1, n_rounds + 1):
        say(f"{run.scoring}, {run.num_fewshot}-shot, {n} questions: round {number} of {n_rounds}")
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
        f"{n / seconds:.2f} questions/s, stock {n / stock_seconds:.2f} ({stock_seconds / seconds:.1f} x); "
        f"CPU {cpu_seconds / n:.2f} s a question, stock {stock_cpu_seconds / n:.2f} "
        f"({stock_cpu_seconds / cpu_seconds:.1f} x); every answer is the same"
    )
    return {
        "scoring": run.scoring,
        "num_fewshot": run.num_fewshot,
        "n_questions": n,
        "n_subjects": len({item.subject for item in run.questions.items}),
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
    from stages.inference.mmlu.lm_eval import score_questions

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
