"""Answers through our adapter equal lm-eval's own `simple_evaluate` on the same questions."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import datasets
import lm_eval
import pytest
import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from peft import LoraConfig, get_peft_model
from transformers import MistralConfig, PreTrainedModel

from stages.errors import InputError, ModelError
from stages.inference.mmlu.lm_eval import OptionScores, score_questions, wrap_model
from stages.inference.mmlu.option_rows import build_row, collect_prompts
from stages.inference.mmlu.questions import MmluQuestion, QuestionSet
from stages.inference.mmlu.row_scoring import pad_rows, why_not_shared
from stages.inference.mmlu.shared_prefix_lm import SharedPrefixLM
from tests.support.mmlu_factory import make_question
from tests.support.tiny_models import CONFIGS, SHAPE, tiny_model, tiny_tokenizer

SUBJECTS = ("anatomy", "virology")
WORDS = ["grant", "funds", "reading", "rooms", "children", "families", "the", "for", "and", "their"]


def made_up_questions(subject: str, n: int, *, start: int = 0) -> list[MmluQuestion]:
    """Short questions; options differ in length, and of some two are the same."""
    return [
        make_question(
            " ".join(WORDS[(number + k) % 10] for k in range(number % 5 + 1)) + f" {number}?",
            subject=subject,
            choices=[WORDS[number % 10], "a b", WORDS[(number * 3) % 10], f"a b{number}"],
            gold=number % 4,
        )
        for number in range(start, start + n)
    ]


QUESTIONS = QuestionSet(
    items=[item for subject in SUBJECTS for item in made_up_questions(subject, 7)],
    examples={subject: made_up_questions(subject, 2, start=20) for subject in SUBJECTS},
)


@pytest.fixture(name="stock")
def stock_evaluation(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """lm-eval's `simple_evaluate`, its hub data replaced by ours: (log-probs, right or wrong) a question."""

    def load_dataset(path: str, name: str, **_: object) -> datasets.DatasetDict:
        assert path == "cais/mmlu"
        rows = {
            "test": [item for item in QUESTIONS.items if item.subject == name],
            "dev": QUESTIONS.examples[name],
        }
        return datasets.DatasetDict(
            {
                split: datasets.Dataset.from_list(
                    [
                        {
                            "question": one.question,
                            "subject": name,
                            "choices": one.choices,
                            "answer": one.gold,
                        }
                        for one in members
                    ]
                )
                for split, members in rows.items()
            }
        )

    def evaluate(
        model: PreTrainedModel, *, scoring: str, num_fewshot: int, chat: bool
    ) -> dict[str, tuple[list[float], bool]]:
        monkeypatch.setattr(datasets, "load_dataset", load_dataset)
        folder = Path(lm_eval.__file__).parent / "tasks/mmlu" / {"letter": "default"}.get(scoring, scoring)
        suffix = "_continuation" if scoring == "continuation" else ""
        found = lm_eval.simple_evaluate(
            model=HFLM(pretrained=model, tokenizer=tiny_tokenizer(), batch_size=4, backend="causal"),
            tasks=[f"mmlu_{subject}{suffix}" for subject in SUBJECTS],
            num_fewshot=num_fewshot,
            apply_chat_template=chat,
            task_manager=TaskManager(include_path=str(folder), include_defaults=False),
            bootstrap_iters=0,
        )
        answers = {}
        for subject in SUBJECTS:
            asked = [item for item in QUESTIONS.items if item.subject == subject]
            for sample in found["samples"][f"mmlu_{subject}{suffix}"]:
                logprobs = [float(logprob) for ((logprob, _),) in sample["resps"]]
                answers[asked[sample["doc_id"]].question_id] = (logprobs, sample["acc"] == 1.0)
        return answers

    return evaluate


def ours(
    model: PreTrainedModel, *, scoring: str, num_fewshot: int, chat: bool, max_batch_tokens: int = 600
) -> list[OptionScores]:
    return score_questions(
        wrap_model(model, tiny_tokenizer(), max_batch_tokens=max_batch_tokens),
        QUESTIONS,
        scoring=scoring,  # type: ignore[arg-type]
        num_fewshot=num_fewshot,
        apply_chat_template=chat,
    )


def assert_same(found: list[OptionScores], stock: dict[str, tuple[list[float], bool]]) -> None:
    assert [one.question_id for one in found] == [item.question_id for item in QUESTIONS.items]
    for one in found:
        logprobs, is_correct = stock[one.question_id]
        assert one.logprobs == pytest.approx(logprobs, abs=2e-4)
        assert one.correct == is_correct
        assert one.predicted == logprobs.index(max(logprobs))


@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("num_fewshot", [0, 2])
@pytest.mark.parametrize("scoring", ["letter", "continuation"])
def test_answers_equal_stock_lm_eval(stock: Any, scoring: str, num_fewshot: int, chat: bool) -> None:
    model = tiny_model("llama")
    settings = {"scoring": scoring, "num_fewshot": num_fewshot, "chat": chat}
    assert_same(ours(model, **settings), stock(model, **settings))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["llama", "qwen2", "qwen3", "mistral"])
def test_answers_equal_stock_lm_eval_in_every_known_architecture(
    stock: Any, monkeypatch: pytest.MonkeyPatch, name: str, attention: str
) -> None:
    monkeypatch.setitem(CONFIGS, "mistral", MistralConfig(**SHAPE, sliding_window=None))
    model = tiny_model(name, attention=attention)
    assert why_not_shared(model) is None
    settings = {"scoring": "continuation", "num_fewshot": 2, "chat": False}
    assert_same(ours(model, **settings), stock(model, **settings))


@pytest.mark.parametrize("name", ["mistral with a sliding window", "gemma3 with layers of both kinds"])
def test_an_unknown_architecture_is_left_to_lm_eval(stock: Any, name: str) -> None:
    model = tiny_model(name)
    assert why_not_shared(model) is not None
    settings = {"scoring": "continuation", "num_fewshot": 2, "chat": False}
    assert_same(ours(model, **settings), stock(model, **settings))


def test_an_adapter_is_part_of_the_policy(stock: Any) -> None:
    torch.manual_seed(1)
    policy = get_peft_model(
        deepcopy(tiny_model("llama")), LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
    ).eval()
    settings = {"scoring": "continuation", "num_fewshot": 2, "chat": True}
    found = ours(policy, **settings)
    assert_same(found, stock(policy, **settings))
    assert found != ours(tiny_model("llama"), **settings)


def test_an_untouched_adapter_answers_as_the_base() -> None:
    policy = get_peft_model(
        deepcopy(tiny_model("llama")), LoraConfig(r=2, target_modules="all-linear")
    ).eval()
    settings = {"scoring": "continuation", "num_fewshot": 0, "chat": False}
    assert ours(policy, **settings) == ours(tiny_model("llama"), **settings)


def test_equal_options_tie_exactly_and_the_first_is_taken() -> None:
    same = make_question(choices=["two", "red", "red", "and"], gold=2)
    (found,) = score_questions(
        wrap_model(tiny_model("llama"), tiny_tokenizer(), max_batch_tokens=600),
        QuestionSet([same], {}),
        scoring="continuation",
        num_fewshot=0,
        apply_chat_template=False,
    )
    assert found.logprobs[1] == found.logprobs[2]


@pytest.mark.parametrize("max_batch_tokens", [1, 100, 10_000])
def test_the_batch_size_changes_no_answer(max_batch_tokens: int) -> None:
    settings = {"scoring": "continuation", "num_fewshot": 2, "chat": False}
    found = ours(tiny_model("llama"), max_batch_tokens=max_batch_tokens, **settings)
    for one, other in zip(found, ours(tiny_model("llama"), **settings), strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=2e-4)
        assert one.predicted == other.predicted


def test_a_prompt_that_does_not_fit_is_refused_and_not_cut() -> None:
    long = make_question("word " * 600)
    with pytest.raises(ModelError, match=r"does not fit the model's 512 .*lower mmlu\.num_fewshot"):
        score_questions(
            wrap_model(tiny_model("llama"), tiny_tokenizer(), max_batch_tokens=600),
            QuestionSet([long], {}),
            scoring="letter",
            num_fewshot=0,
            apply_chat_template=False,
        )


def test_an_empty_option_has_no_continuation() -> None:
    empty = make_question(choices=["red", " ", "run", "and"])
    lm = wrap_model(tiny_model("llama"), tiny_tokenizer(), max_batch_tokens=600)
    with pytest.raises(InputError, match=r"1 questions have an empty option .*set mmlu\.scoring to letter"):
        score_questions(
            lm, QuestionSet([empty], {}), scoring="continuation", num_fewshot=0, apply_chat_template=False
        )


def test_an_option_sees_the_prompt_and_itself_alone() -> None:
    (prompt,) = collect_prompts([([5, 6], [8, 9]), ([5, 6], [4, 3, 2])])
    inputs = pad_rows(
        [build_row(prompt, n_shared=0)], n_shared=2, dtype=torch.float32, device=torch.device("cpu")
    )
    mask = inputs["attention_mask"]
    assert mask is not None
    seen = (mask[0, 0] == 0).int().tolist()
    assert seen == [
        [1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 1, 0, 0],  # the first option
        [1, 1, 1, 1, 0, 1, 0],  # the second
        [1, 1, 1, 1, 0, 1, 1],
    ]


def test_the_model_runs_what_is_shared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    n_run: list[int] = []
    lm = wrap_model(tiny_model("llama"), tiny_tokenizer(), max_batch_tokens=10_000)
    decoder = lm.model.get_decoder()
    decoder.register_forward_pre_hook(
        lambda _, __, kwargs: n_run.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    assert isinstance(lm, SharedPrefixLM)
    score_questions(lm, QUESTIONS, scoring="letter", num_fewshot=2, apply_chat_template=False)
    n_fast = sum(n_run)
    n_run.clear()
    monkeypatch.setattr("stages.inference.mmlu.shared_prefix_lm.why_not_shared", lambda _model: "told not to")
    score_questions(lm, QUESTIONS, scoring="letter", num_fewshot=2, apply_chat_template=False)
    n_stock = sum(n_run)
    assert n_fast < n_stock / 2


@pytest.mark.parametrize("text", ["two words", "<|im_start|>user\ntwo words", "ends in a space "])
def test_texts_are_tokenized_as_lm_eval_does_it(text: str) -> None:
    lm = wrap_model(tiny_model("llama"), tiny_tokenizer(), max_batch_tokens=600)
    lm.tokenizer.add_bos_token = True
    expected = HFLM.tok_encode(lm, text)
    assert lm._encode_all([text, "another"])[text] == expected
    assert lm.tok_encode(text) == expected
