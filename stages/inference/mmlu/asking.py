"""Which questions are asked, under which configuration, and what a model answered."""

from collections.abc import Mapping
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stages.errors import InputError, RuntimeCheckError
from stages.files.io import read_jsonl
from stages.inference.mmlu.questions import (
    CATEGORY_OF,
    MmluAnswer,
    MmluQuestion,
    QuestionSet,
    sample_questions,
)
from stages.run.params import Params

if TYPE_CHECKING:
    from stages.inference.mmlu.lm_eval import OptionScores


def load_questions(
    source: Literal["bundled", "csv", "hub"], *, csv_dir: str, repo_id: str, revision: str, num_fewshot: int
) -> QuestionSet:
    """All questions of the source that `mmlu.source` names, as its parameters say."""
    from stages.inference.mmlu.sources import load_bundled, load_csv, load_hub

    if source == "csv":
        return load_csv(Path(csv_dir), num_fewshot=num_fewshot)
    if source == "hub":
        return load_hub(repo_id, revision, num_fewshot=num_fewshot)
    return load_bundled()


def read_questions(items: Path, examples: Path) -> QuestionSet:
    """The questions and examples that stage `questions` wrote."""
    shown: dict[str, list[MmluQuestion]] = {}
    for one in read_jsonl(examples, MmluQuestion):
        shown.setdefault(one.subject, []).append(one)
    return QuestionSet(read_jsonl(items, MmluQuestion), shown)


def choose_questions(questions: QuestionSet, params: Params) -> QuestionSet:
    """The sample of `size.n_questions` questions, or all; InputError where there are too few."""
    n_wanted = params.size.n_questions
    n_there = len(questions.items)
    if n_wanted == "all":
        return questions
    if n_wanted > n_there:
        raise InputError(
            f"size.n_questions is {n_wanted}, but mmlu.source {params.mmlu.source} has {n_there} questions; "
            f"set it to `all` or to {n_there} or less, or choose another source"
        )
    return questions._replace(items=sample_questions(questions.items, n=n_wanted, seed=params.mmlu.seed))


def describe_config(
    params: Params, questions: QuestionSet, *, rendering: Mapping[str, object]
) -> dict[str, object]:
    """Everything that decides how a question is asked and scored; the models must agree in it."""
    return {
        "lm_eval": version("lm_eval"),
        "scoring": params.mmlu.scoring,
        "num_fewshot": params.mmlu.num_fewshot,
        "examples": {
            subject: [one.question_id for one in shown] for subject, shown in questions.examples.items()
        },
        "rendering": rendering if params.mmlu.apply_chat_template else None,
        "runtime": params.runtime.model_dump(),
        "max_batch_tokens": params.mmlu.max_batch_tokens,
    }


def make_answers(
    items: list[MmluQuestion], scores: list["OptionScores"], config_sha256: str
) -> list[MmluAnswer]:
    """One row a question; RuntimeCheckError where a log-prob is no number, as of a broken model."""
    broken = [score.question_id for score in scores if not all(map(isfinite, score.logprobs))]
    if broken:
        raise RuntimeCheckError(
            f"mmlu: {len(broken)} questions got log-probs that are no numbers (first: {broken[0]}); "
            "the model's weights or runtime.dtype are broken, so nothing is written"
        )
    return [
        MmluAnswer(
            question_id=item.question_id,
            subject=item.subject,
            category=CATEGORY_OF[item.subject],
            gold=item.gold,
            logprobs=score.logprobs,
            predicted=score.predicted,
            correct=score.correct,
            config_sha256=config_sha256,
        )
        for item, score in zip(items, scores, strict=True)
    ]
