"""`python -m benchmarks.mmlu_parity FOLDER [N]`: every answer against stock lm-eval, question by question.

FOLDER holds MMLU's CSV files (val/ or test/). Both scorings, 0-shot, on models/base. Stock is
`lm_eval.simple_evaluate` with lm-eval's own tasks, its own model class and its own batches; only the
questions come from the folder, read here a second time and not by the pipeline's reader. N takes the
first N questions of each subject, for a trial. Exits with an error where one answer differs.
"""

import csv
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.errors import ParamsError, RuntimeCheckError
from stages.inference.mmlu.questions import LETTERS, QuestionSet
from stages.run import paths
from stages.run.params import load_params
from stages.run.progress import say, track
from stages.run.shell import run_stage

if TYPE_CHECKING:
    from lm_eval.models.huggingface import HFLM

    from stages.inference.mmlu.lm_eval import OptionScores, Scoring

STOCK_BATCH_SIZE = 8
SCORINGS: tuple["Scoring", ...] = ("letter", "continuation")
Doc = dict[str, Any]  # a row as cais/mmlu has it


def main() -> None:
    """Compare both scorings and print the accuracies."""
    folder, n_each = read_arguments(sys.argv[1:])
    params = load_params()

    from lm_eval.models.huggingface import HFLM

    from stages.inference.mmlu.lm_eval import score_questions, wrap_model
    from stages.inference.mmlu.sources import load_csv
    from stages.model.checkpoint import load_model, load_tokenizer

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    docs = {subject: rows[:n_each] for subject, rows in read_docs(folder).items()}
    questions = keep_first(load_csv(folder, num_fewshot=0), n_each)
    tokenizer = load_tokenizer(paths.BASE_MODEL)
    model = load_model(paths.BASE_MODEL, None, params.runtime)
    ours = wrap_model(model, tokenizer, max_batch_tokens=params.mmlu.max_batch_tokens)
    stock = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=STOCK_BATCH_SIZE, backend="causal")
    for scoring in SCORINGS:
        found = score_questions(ours, questions, scoring=scoring, num_fewshot=0, apply_chat_template=False)
        expected = evaluate_stock(stock, docs, scoring=scoring)
        say(report(questions, found, expected, scoring=scoring))


def read_arguments(arguments: list[str]) -> tuple[Path, int | None]:
    """The folder, and how many questions of each subject; None is all."""
    if len(arguments) not in (1, 2) or not all(one.isdecimal() and int(one) > 0 for one in arguments[1:]):
        raise ParamsError("usage: python -m benchmarks.mmlu_parity FOLDER [QUESTIONS A SUBJECT]")
    return Path(arguments[0]), int(arguments[1]) if arguments[1:] else None


def read_docs(folder: Path) -> dict[str, list[Doc]]:
    """Every subject's rows in the order of its file, as lm-eval's tasks want them."""
    split = "test" if any((folder / "test").glob("*.csv")) else "val"
    docs: dict[str, list[Doc]] = {}
    for path in sorted((folder / split).glob("*.csv")):
        subject = path.stem.removesuffix(f"_{split}")
        with path.open(encoding="utf-8", newline="") as file:
            docs[subject] = [
                {
                    "question": row[0],
                    "subject": subject,
                    "choices": row[1:5],
                    "answer": LETTERS.index(row[5].strip()),
                }
                for row in csv.reader(file)
                if row
            ]
    return docs


def keep_first(questions: QuestionSet, n_each: int | None) -> QuestionSet:
    """The first `n_each` questions of every subject, subjects and questions in their order."""
    by_subject: dict[str, list[Any]] = {}
    for item in questions.items:
        by_subject.setdefault(item.subject, []).append(item)
    return questions._replace(items=[item for members in by_subject.values() for item in members[:n_each]])


def evaluate_stock(
    lm: "HFLM", docs: Mapping[str, list[Doc]], *, scoring: "Scoring"
) -> list[tuple[list[float], bool]]:
    """Log-probs of the options and right or wrong, by lm-eval itself, in the order of the rows."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    folder = Path(lm_eval.__file__).parent / "tasks/mmlu" / {"letter": "default"}.get(scoring, scoring)
    suffix = "_continuation" if scoring == "continuation" else ""
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    answers = []
    with data_from(docs):
        for subject in track(docs, total=len(docs), label=f"stock lm-eval, {scoring}", unit="subjects"):
            task = f"mmlu_{subject}{suffix}"
            found = lm_eval.simple_evaluate(
                model=lm, tasks=[task], num_fewshot=0, task_manager=manager, bootstrap_iters=0
            )
            samples = sorted(found["samples"][task], key=lambda sample: sample["doc_id"])
            answers += [
                ([float(logp) for ((logp, _),) in sample["resps"]], sample["acc"] == 1.0)
                for sample in samples
            ]
    return answers


@contextmanager
def data_from(docs: Mapping[str, list[Doc]]) -> Iterator[None]:
    """While it lasts, lm-eval's call for hub data gets our rows."""
    import datasets

    def load_dataset(path: str, name: str, **_: object) -> "datasets.DatasetDict":
        if path != "cais/mmlu":
            raise RuntimeCheckError(f"benchmarks.mmlu_parity: lm-eval asks for {path}, not for MMLU")
        rows = datasets.Dataset.from_list(docs[name])
        return datasets.DatasetDict(test=rows, dev=rows)  # dev is not shown at 0 shots

    hub = datasets.load_dataset
    datasets.load_dataset = load_dataset
    try:
        yield
    finally:
        datasets.load_dataset = hub


def report(
    questions: QuestionSet,
    found: list["OptionScores"],
    expected: list[tuple[list[float], bool]],
    *,
    scoring: "Scoring",
) -> str:
    """One line with both accuracies; RuntimeCheckError naming the questions answered differently."""
    largest = 0.0
    others = []
    for one, (logprobs, is_correct) in zip(found, expected, strict=True):
        largest = max(largest, *(abs(a - b) for a, b in zip(one.logprobs, logprobs, strict=True)))
        if (one.predicted, one.correct) != (logprobs.index(max(logprobs)), is_correct):
            others.append(one.question_id)
    n, n_right = len(found), sum(one.correct for one in found)
    n_stock = sum(is_correct for _, is_correct in expected)
    line = (
        f"{scoring}: {n} questions of {len({item.subject for item in questions.items})} subjects, "
        f"{n_right} right ({n_right / n:.2%}), stock {n_stock}; answers that differ: {len(others)}; "
        f"largest difference of a log-prob {largest:.1e} nats"
    )
    if others:
        raise RuntimeCheckError(f"benchmarks.mmlu_parity: {line}: {others[:10]}")
    return line


if __name__ == "__main__":
    run_stage(main)
