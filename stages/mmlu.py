"""`python -m stages.mmlu base|policy`: right or wrong, per question.

Reads a model and the MMLU questions, writes data/mmlu/<model>.jsonl: for every question the
log-probs of its options and whether the model's choice is right. Decides which questions are asked.
"""

import sys
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from stages import paths
from stages.core.mmlu import CATEGORY_OF, MmluAnswer, MmluQuestion, QuestionSet, hash_config, sample_questions
from stages.errors import InputError, RuntimeCheckError
from stages.io import write_jsonl
from stages.params import MmluParams, Params, load_params
from stages.shell import run_stage

if TYPE_CHECKING:
    from stages.adapters.lm_eval import OptionScores

USAGE = "usage: python -m stages.mmlu base|policy"


def main() -> None:
    """Ask one model the questions that `params.yaml` chooses."""
    model_name = read_model_name(sys.argv[1:])
    params = load_params()
    questions = choose_questions(load_questions(params.mmlu), params)

    from stages.adapters.checkpoint import for_short_texts, load_model, load_tokenizer
    from stages.adapters.lm_eval import score_questions, wrap_model

    tokenizer = load_tokenizer(paths.BASE_MODEL)
    policy = paths.POLICY_MODEL if model_name == "policy" else None
    model = load_model(paths.BASE_MODEL, policy, for_short_texts(params.runtime, stage="mmlu"))
    scores = score_questions(
        wrap_model(model, tokenizer, max_batch_tokens=params.mmlu.max_batch_tokens),
        questions,
        scoring=params.mmlu.scoring,
        num_fewshot=params.mmlu.num_fewshot,
        apply_chat_template=params.mmlu.apply_chat_template,
    )
    config_sha256 = hash_config(describe_config(params, questions, chat_template=tokenizer.chat_template))
    write_jsonl(paths.mmlu_answers(model_name), make_answers(questions.items, scores, config_sha256))


def read_model_name(arguments: list[str]) -> str:
    """`base` or `policy` from the command line; exits with the usage otherwise."""
    if len(arguments) != 1 or arguments[0] not in ("base", "policy"):
        sys.exit(USAGE)
    return arguments[0]


def load_questions(params: MmluParams) -> QuestionSet:
    """All questions of the source that `mmlu.source` names."""
    from stages.adapters.mmlu_questions import load_bundled, load_csv, load_hub

    if params.source == "csv":
        return load_csv(Path(params.csv_dir), num_fewshot=params.num_fewshot)
    if params.source == "hub":
        return load_hub(params.repo_id, params.revision, num_fewshot=params.num_fewshot)
    return load_bundled()


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


def describe_config(params: Params, questions: QuestionSet, *, chat_template: str) -> dict[str, object]:
    """Everything that decides how a question is asked and scored; the models must agree in it."""
    from stages.adapters.checkpoint import LOADING_KEYS

    return {
        "lm_eval": version("lm_eval"),
        "scoring": params.mmlu.scoring,
        "num_fewshot": params.mmlu.num_fewshot,
        "examples": {
            subject: [one.question_id for one in shown] for subject, shown in questions.examples.items()
        },
        "chat_template": chat_template if params.mmlu.apply_chat_template else None,
        "max_batch_tokens": params.mmlu.max_batch_tokens,
        "runtime": params.runtime.model_dump(include=LOADING_KEYS),
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


if __name__ == "__main__":
    run_stage(main)
