import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from peft import LoraConfig, get_peft_model

from stages import mmlu, questions
from stages.errors import InputError, RuntimeCheckError
from stages.files.io import read_jsonl, write_json
from stages.inference.mmlu.questions import MmluAnswer
from stages.model.checkpoint import base_sha256
from stages.run import paths
from tests.support.tiny_models import tiny_model, write_tiny_base

REPOSITORY = Path(__file__).parent.parent
Run = Callable[..., list[MmluAnswer]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the stage on one model in a folder with a tiny base, an untouched adapter and CSV questions."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(REPOSITORY / "sizes", "sizes")
    write_tiny_base(paths.BASE_MODEL)
    get_peft_model(tiny_model(), LoraConfig(r=2, target_modules="all-linear")).save_pretrained(
        paths.POLICY_MODEL
    )
    write_json(paths.POLICY_MODEL / "manifest.json", {"base_sha256": base_sha256(paths.BASE_MODEL)})
    for subject in ("anatomy", "virology"):
        for split, n in (("val", 6), ("dev", 2)):
            path = Path("questions") / split / f"{subject}_{split}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(
                "".join(
                    f"{split} {k} of {subject}?,grant {k},funds,reading rooms,{k},{'ABCD'[k % 4]}\n"
                    for k in range(n)
                )
            )

    def run_stage(model: str, *, n_questions: object = "all", **changes: object) -> list[MmluAnswer]:
        params = yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
        params["mmlu"] |= {"source": "csv", "csv_dir": "questions"} | changes
        params["size"]["n_questions"] = n_questions
        Path("params.yaml").write_text(json.dumps(params), encoding="utf-8")
        questions.main()
        monkeypatch.setattr("sys.argv", ["mmlu", model])
        mmlu.main()
        return read_jsonl(paths.mmlu_answers(model), MmluAnswer)

    return run_stage


def test_an_untouched_policy_answers_as_the_base_under_one_configuration(run: Run) -> None:
    base, policy = run("base"), run("policy")
    assert base == policy
    assert len(base) == 12
    assert {answer.category for answer in base} == {"stem", "other"}


def test_a_sample_takes_every_subject_and_only_what_was_asked_for(run: Run) -> None:
    some, every = run("base", n_questions=4), run("base")
    assert [answer.subject for answer in some].count("anatomy") == 2
    assert {answer.question_id for answer in some} <= {answer.question_id for answer in every}
    assert len(some) == 4


def test_more_questions_than_the_source_has_is_refused_and_nothing_is_written(run: Run) -> None:
    with pytest.raises(InputError, match=r"size\.n_questions is 13, but mmlu\.source csv has 12 questions"):
        run("base", n_questions=13)
    assert not paths.mmlu_answers("base").exists()


@pytest.mark.parametrize(
    "changes",
    [{"scoring": "letter"}, {"num_fewshot": 1}, {"apply_chat_template": True}, {"max_batch_tokens": 7}],
)
def test_asking_otherwise_changes_the_configuration_hash(run: Run, changes: dict[str, Any]) -> None:
    before, after = run("base", n_questions=1), run("base", n_questions=1, **changes)
    assert before[0].question_id == after[0].question_id
    assert before[0].config_sha256 != after[0].config_sha256


def test_the_sample_is_no_part_of_the_configuration(run: Run) -> None:
    assert run("base", n_questions=2)[0].config_sha256 == run("base", seed=7)[0].config_sha256


def test_other_examples_change_the_configuration_hash(run: Run) -> None:
    before = run("base", num_fewshot=1)[0].config_sha256
    path = Path("questions/dev/anatomy_dev.csv")
    path.write_text(path.read_text().replace("dev 0", "dev zero"))
    assert run("base", num_fewshot=1)[0].config_sha256 != before


def test_a_broken_model_writes_nothing(run: Run) -> None:
    from safetensors.torch import load_file, save_file

    weights = paths.BASE_MODEL / "model.safetensors"
    tensors = load_file(weights)
    tensors["model.norm.weight"] *= float("nan")
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(RuntimeCheckError, match="12 questions got log-probs that are no numbers"):
        run("base")
    assert not paths.mmlu_answers("base").exists()
