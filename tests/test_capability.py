import csv
import shutil
from pathlib import Path
from typing import Any

import pytest

from stages import capability
from stages.errors import InputError
from stages.files.io import read_json, write_jsonl
from stages.inference.mmlu.questions import MmluAnswer
from stages.run import paths
from tests.support.mmlu_factory import make_answer

PARAMS = Path(__file__).parent.parent / "params.yaml"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(PARAMS, tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)


def measure(base: list[MmluAnswer], policy: list[MmluAnswer]) -> dict[str, Any]:
    write_jsonl(paths.mmlu_answers("base"), base)
    write_jsonl(paths.mmlu_answers("policy"), policy)
    capability.main()
    metrics: dict[str, Any] = read_json(paths.CAPABILITY_METRICS)["capability"]
    return metrics


def table(name: str) -> list[dict[str, str]]:
    with (paths.CAPABILITY_PLOTS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def answers(*correct: bool, subject: str = "anatomy") -> list[MmluAnswer]:
    return [make_answer(f"{subject}-{k}", correct=one, subject=subject) for k, one in enumerate(correct)]


def test_a_drop_is_written_with_its_tables() -> None:
    base = answers(True, True, True, False) + answers(True, False, subject="virology")
    policy = answers(True, False, False, False) + answers(True, True, subject="virology")
    agreed = answers(*[False] * 30, subject="philosophy")
    metrics = measure(base + agreed, policy + agreed)
    assert metrics["drop"] == pytest.approx((2 - 1) / 36)
    assert metrics["low"] < metrics["drop"] < metrics["high"] < metrics["high_two_sided"]
    assert (metrics["n"], metrics["n_discordant_worse"], metrics["n_discordant_better"]) == (36, 2, 1)
    assert metrics["same_questions"] is True
    assert metrics["at_floor"] is True
    assert metrics["config_sha256"] == "c"
    assert [(row["subject"], row["drop"], row["n_worse"]) for row in table("by_subject.csv")] == [
        ("anatomy", "0.5", "2"),
        ("philosophy", "0.0", "0"),
        ("virology", "-0.5", "0"),
    ]
    assert [(row["category"], row["base_acc"], row["policy_acc"]) for row in table("by_category.csv")] == [
        ("humanities", "0.0", "0.0"),
        ("other", "0.5", "1.0"),
        ("stem", "0.75", "0.25"),
    ]


def test_equal_models_have_a_drop_of_zero_that_is_not_certain() -> None:
    base = answers(True, True, False) + answers(True, False, subject="virology")
    metrics = measure(base, base)
    assert metrics["drop"] == 0
    assert metrics["low"] == -metrics["high"] < 0


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (answers(True), "different questions: 1 only the base, 0 only the policy, 1 both"),
        ([make_answer(f"anatomy-{k}", config_sha256="d") for k in range(2)], "different configurations"),
    ],
)
def test_models_that_cannot_be_compared_get_no_number(policy: list[MmluAnswer], reason: str) -> None:
    metrics = measure(answers(True, True), policy)
    assert set(metrics) == {"same_questions", "config_sha256", "reason"}
    assert metrics["same_questions"] is False
    assert reason in metrics["reason"]
    assert table("by_subject.csv") == table("by_category.csv") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no answers"),
        (
            "\n".join(one.model_dump_json() for one in answers(True) * 2),
            r"1 questions are answered twice \(first: anatomy-0\)",
        ),
        (answers(True)[0].model_dump_json().replace("-1.0", "NaN"), "NaN is not a number"),
        (answers(True)[0].model_dump_json().replace("true", "false"), "does not fit MmluAnswer"),
    ],
)
def test_a_broken_file_is_named_and_no_number_is_written(text: str, message: str) -> None:
    write_jsonl(paths.mmlu_answers("base"), answers(True))
    paths.mmlu_answers("policy").write_text(text)
    with pytest.raises(InputError, match=rf"policy\.jsonl: (?s:.*{message})"):
        capability.main()
    assert not paths.CAPABILITY_METRICS.exists()
