"""MMLU through lm-eval's own tasks and model class: its prompts, its tokens, its `acc`.

`acc` takes the option with the highest summed log-prob, in both scorings; of equals, the first.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import yaml

from stages.errors import InputError
from stages.inference.mmlu.questions import MmluQuestion, QuestionSet

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.models.huggingface import HFLM
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Scoring = Literal["continuation", "letter"]

# lm-eval's own definitions of the two scorings: folder under tasks/mmlu, and the shared template in it.
TEMPLATES: Mapping[Scoring, tuple[str, str]] = {
    "letter": ("default", "_default_template_yaml"),
    "continuation": ("continuation", "_continuation_template_yaml"),
}


class OptionScores(NamedTuple):
    """Log-probs of the four options in nats, the index lm-eval's `acc` takes, and whether it is right."""

    question_id: str
    logprobs: list[float]
    predicted: int
    correct: bool


class Asked(NamedTuple):
    """One question as lm-eval asks it: its task, its row there and one request an option."""

    question_id: str
    task: "ConfigurableTask"
    doc: dict[str, Any]
    requests: list["Instance"]


def wrap_model(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", *, max_batch_tokens: int
) -> "HFLM":
    """An already loaded model as lm-eval's model class; lm-eval's notes about that are expected."""
    from stages.inference.mmlu.shared_prefix_lm import SharedPrefixLM

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    return SharedPrefixLM(
        pretrained=model, tokenizer=tokenizer, max_batch_tokens=max_batch_tokens, backend="causal"
    )


def score_questions(
    lm: "HFLM", questions: QuestionSet, *, scoring: Scoring, num_fewshot: int, apply_chat_template: bool
) -> list[OptionScores]:
    """Log-probs of every question's options, in the order of the questions."""
    if scoring == "continuation":
        refuse_empty_options(questions.items)
    asked = ask_questions(
        lm, questions, scoring=scoring, num_fewshot=num_fewshot, apply_chat_template=apply_chat_template
    )
    answers = iter(
        lm.loglikelihood([request for one in asked for request in one.requests], disable_tqdm=True)
    )
    scores = {one.question_id: _score(one, [next(answers) for _ in one.requests]) for one in asked}
    return [scores[item.question_id] for item in questions.items]


def refuse_empty_options(items: Sequence[MmluQuestion]) -> None:
    """InputError where an option has no text: as a continuation it would have no probability."""
    empty = [item for item in items if not all(choice.strip() for choice in item.choices)]
    if empty:
        raise InputError(
            f"mmlu: {len(empty)} questions have an empty option (first: {empty[0].question_id}, "
            f"{empty[0].question[:60]!r}); remove them or set mmlu.scoring to letter"
        )


def ask_questions(
    lm: "HFLM", questions: QuestionSet, *, scoring: Scoring, num_fewshot: int, apply_chat_template: bool
) -> list[Asked]:
    """Every question as the requests of lm-eval's task for its subject."""
    by_subject: dict[str, list[MmluQuestion]] = {}
    for item in questions.items:
        by_subject.setdefault(item.subject, []).append(item)
    asked = []
    for subject, items in by_subject.items():
        examples = questions.examples.get(subject, [])[:num_fewshot]
        task = build_task(subject, items, examples, scoring=scoring)
        for item, doc in zip(items, task.test_docs(), strict=True):
            context = task.fewshot_context(
                doc,
                num_fewshot=len(examples),
                apply_chat_template=apply_chat_template,
                fewshot_as_multiturn=apply_chat_template,
                chat_template=lm.apply_chat_template if apply_chat_template else None,
            )
            requests = task.construct_requests(
                doc, context, apply_chat_template=apply_chat_template, metadata=(subject, 0, 1)
            )
            asked.append(Asked(item.question_id, task, doc, requests))
    return asked


def build_task(
    subject: str, items: Sequence[MmluQuestion], examples: Sequence[MmluQuestion], *, scoring: Scoring
) -> "ConfigurableTask":
    """lm-eval's task for one subject and scoring, with our questions where its hub data would be."""
    from datasets import Dataset, DatasetDict
    from lm_eval.api.task import ConfigurableTask

    data = DatasetDict(
        test=Dataset.from_list([_make_doc(item) for item in items]),
        dev=Dataset.from_list([_make_doc(item) for item in examples]),
    )
    config = read_definition(subject, scoring=scoring) | {"custom_dataset": lambda **_: data}
    return ConfigurableTask(config=config)


def read_definition(subject: str, *, scoring: Scoring) -> dict[str, Any]:
    """lm-eval's own YAML of one MMLU subject, its template filled in."""
    import lm_eval

    folder_name, template = TEMPLATES[scoring]
    folder = Path(lm_eval.__file__).parent / "tasks/mmlu" / folder_name
    config: dict[str, Any] = yaml.safe_load((folder / template).read_text(encoding="utf-8"))
    config |= yaml.safe_load((folder / f"mmlu_{subject}.yaml").read_text(encoding="utf-8"))
    for key in ("include", "tag", "dataset_path", "dataset_name"):
        config.pop(key, None)
    return config


def _make_doc(item: MmluQuestion) -> dict[str, Any]:
    """A row as cais/mmlu has it, which lm-eval's templates read."""
    return {"question": item.question, "subject": item.subject, "choices": item.choices, "answer": item.gold}


def _score(one: Asked, answers: list[tuple[float, bool]]) -> OptionScores:
    """Right or wrong as the task's own metric says."""
    logprobs = [float(logprob) for logprob, _ in answers]
    acc = one.task.process_results(one.doc, answers)["acc"]
    return OptionScores(one.question_id, logprobs, logprobs.index(max(logprobs)), acc == 1.0)
