"""The MMLU benchmarks at their smallest, on a tiny model."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks import mmlu, mmlu_parity, noise_steps
from stages.errors import ParamsError, RuntimeCheckError
from stages.inference.mmlu.questions import QuestionSet
from stages.run import paths
from tests.support.decision_factory import CAPABILITY_LIMITS, capability_section
from tests.support.mmlu_factory import make_question
from tests.support.tiny_models import write_tiny_base

PARAMS = Path(__file__).parent.parent.parent / "params.yaml"
SUBJECTS = ("anatomy", "virology")


@pytest.fixture
def questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a tiny base whose context is long, params and CSV questions."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(PARAMS, "params.yaml")
    write_tiny_base(paths.BASE_MODEL)
    config = paths.BASE_MODEL / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"max_position_embeddings": 4096}))
    for subject in SUBJECTS:
        for split, n in (("val", 3), ("dev", 5)):
            path = Path("questions") / split / f"{subject}_{split}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = [f"{split} {k} {subject}?,grant {k},funds,rooms,{k},{'ABCD'[k % 4]}\n" for k in range(n)]
            path.write_text("".join(rows))
    return Path("questions")


def test_the_benchmark_asks_both_ways_and_a_trial_writes_nothing(
    questions: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["mmlu", "--smoke"])
    monkeypatch.setenv("BENCH_MMLU", str(questions))
    mmlu.main()
    said = capsys.readouterr().err
    for run in ("letter, 0-shot", "continuation, 0-shot", "letter, 5-shot", "continuation, 5-shot"):
        assert f"{run}: " in said
    assert said.count("every answer is the same") == 4
    assert not mmlu.RESULTS.exists()


def test_a_few_questions_of_a_few_subjects_are_drawn() -> None:
    items = [make_question(f"q {k}?", subject=subject) for subject in SUBJECTS for k in range(6)]
    shown = {
        "anatomy": [make_question("short")],
        "virology": [make_question("long " * mmlu.MAX_EXAMPLE_CHARACTERS)],
    }
    found = mmlu.sample_subjects(QuestionSet(items, shown), 2, 4)
    assert [item.subject for item in found.items] == ["anatomy"] * 4
    assert found == mmlu.sample_subjects(QuestionSet(items[::-1], shown), 2, 4)


def test_every_answer_is_compared_with_stock_lm_eval(
    questions: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["mmlu_parity", str(questions), "2"])
    mmlu_parity.main()
    said = capsys.readouterr().err
    for scoring in ("letter", "continuation"):
        assert f"{scoring}: 4 questions of 2 subjects" in said
    assert said.count("answers that differ: 0") == 2


def test_an_answer_that_differs_is_an_error(questions: Path) -> None:
    from stages.inference.mmlu.lm_eval import OptionScores

    asked = QuestionSet([make_question()], {})
    found = [OptionScores("q", [-1.0, -2.0, -3.0, -4.0], 0, correct=True)]
    assert "1 right (100.00%)" in mmlu_parity.report(
        asked, found, [([-1.0, -2.0, -3.0, -4.0], True)], scoring="letter"
    )
    with pytest.raises(RuntimeCheckError, match="answers that differ: 1"):
        mmlu_parity.report(asked, found, [([-2.0, -1.0, -3.0, -4.0], False)], scoring="letter")


def test_noise_is_seeded_by_tensor_and_in_its_own_measure(questions: Path) -> None:
    from safetensors.torch import load_file

    base = load_file(paths.BASE_MODEL / "model.safetensors")
    for folder, noise in ((Path("a"), 0.1), (Path("b"), 0.1), (Path("none"), 0.0)):
        noise_steps.write_noised(paths.BASE_MODEL, folder, noise)
    first, again, none = (load_file(Path(name) / "model.safetensors") for name in ("a", "b", "none"))
    for name, weights in base.items():
        assert (none[name] == weights).all()
        assert (first[name] == again[name]).all()
        if weights.numel() > 1000:
            moved = (first[name] - weights).std() / weights.std()
            assert float(moved) == pytest.approx(0.1, rel=0.1)


def test_a_step_is_judged_on_the_questions_there_are() -> None:
    same = capability_section() | {"discordance": 0.066}
    step = noise_steps.judge_step(0.1, {"capability": same}, CAPABILITY_LIMITS)
    assert step.state == "pass"
    fallen = capability_section(worse=1500, better=100) | {"discordance": 0.11}
    step = noise_steps.judge_step(0.4, {"capability": fallen}, CAPABILITY_LIMITS)
    assert (step.state, step.n) == ("fail", 14042)
    said = noise_steps.format_steps([step], CAPABILITY_LIMITS)
    assert "fail" in said
    assert "no drop larger than about 35.0 points" in said


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["a", "0"], ["a", "1", "2"]])
def test_other_arguments_are_answered_with_the_usage(arguments: list[str]) -> None:
    for script in (mmlu_parity, noise_steps):
        with pytest.raises(ParamsError, match="usage: python -m benchmarks"):
            script.read_arguments(arguments)
    with pytest.raises(ParamsError, match="usage"):
        mmlu.read_arguments(["--fast"])
