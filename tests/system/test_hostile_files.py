"""Every file that is read, damaged in every way: a message that helps, or a verdict; nothing half-written."""

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from stages import (
    accuracy,
    blind,
    capability,
    gate,
    probe_summary,
    reference,
    report,
    split,
    winrate,
    writing,
)
from stages.cli import pipeline
from stages.cli.study.app import import_judgements, verify
from stages.cli.study.plan import plan_study
from stages.cli.study.reveal import reveal
from stages.errors import BluePencilError
from stages.files.io import read_json
from stages.inference.mmlu import sources as mmlu_questions
from stages.logprobs.reference_table import read_reference
from stages.release import objections as release_checks
from stages.run import accelerate_config, paths
from stages.run.params import load_params
from stages.sizing import model_config
from stages.study.collecting import collect_ballot
from stages.study.opening import read_anchors, settle_prereg
from tests.support.hostile_factory import DAMAGES, build_world, copy_world, snapshot

WAY_OUT = re.compile(
    r"\b(run|restore|check|set|save|put|correct|mend|write|export|name|remove|build|ask|adds?|lower|keep|complete|git checkout)\b", re.IGNORECASE
)  # fmt: skip
SECONDS = 120  # a file that hangs is a failure like any other; a busy machine is not


class Reader(NamedTuple):
    """A file, what reads it, and words one of which says where the mistake is; the file's name if empty."""

    file: str
    read: Callable[[], object]
    places: tuple[str, ...] = ()


def config() -> object:
    return accelerate_config.check_config(Path("accelerate.yaml"), load_params().runtime)


def mmlu() -> object:
    return mmlu_questions.load_csv(Path("data/raw/mmlu"), num_fewshot=1)


def reveal_again() -> None:
    for name in ("key.json", "reveal.json"):
        next(paths.STUDY.glob(f"*/{name}")).unlink()
    reveal(despite_missing="")


def collect() -> None:
    for file in (
        *paths.STUDY.glob("*/key.json"),
        *paths.STUDY.glob("*/reveal.json"),
        *paths.BALLOTS.glob("*/editor-1.json"),
    ):
        file.unlink()
    collect_ballot(Path("sent.json"), receipt="")


REFUSING = [
    Reader("params.yaml", load_params),
    Reader("params.yaml", lambda: pipeline.size("gpu")),
    Reader("sizes/gpu.yaml", lambda: pipeline.size("gpu")),
    Reader("accelerate.yaml", config),
    Reader("data/validate/pairs.jsonl", split.main),
    Reader("data/validate/prompts.jsonl", split.main),
    Reader("metrics/validate.json", split.main),
    Reader("data/split/train.jsonl", reference.main, ("train.jsonl", "size.n_train")),
    Reader("data/split/selection.jsonl", accuracy.main, ("selection.jsonl", "size.n_selection_scored")),
    Reader("data/split/holdout.jsonl", accuracy.main, ("holdout.jsonl", "size.n_holdout_scored")),
    Reader("data/holdout/margins.jsonl", accuracy.main),
    Reader("data/reference/logps.parquet", lambda: read_reference(paths.REFERENCE_LOGPS)),
    Reader("data/generate/base.jsonl", blind.main),
    Reader("data/generate/policy.jsonl", blind.main),
    Reader("data/blind/items.jsonl", winrate.main),
    Reader("data/blind/items.jsonl", writing.main),
    Reader("data/mmlu/base.jsonl", capability.main),
    Reader("data/mmlu/policy.jsonl", capability.main),
    Reader("data/probe/base.jsonl", probe_summary.main),
    Reader("metrics/gate.json", report.main),
    Reader("models/base/manifest.json", report.main),
    *(Reader(f"data/accuracy/{name}.csv", report.main, ("data/accuracy",)) for name in ("slices", "calibration", "margins")),
    Reader("data/winrate/prompts.csv", report.main),
    Reader("data/writing/mentions.csv", report.main),
    Reader("data/winrate/editors.csv", report.main, ("data/winrate",)),
    Reader("data/raw/mmlu/test/anatomy_test.csv", mmlu, ("data/raw/mmlu",)),
    Reader("data/raw/mmlu/dev/anatomy_dev.csv", mmlu, ("data/raw/mmlu",)),
    Reader("config.json", lambda: model_config.read_shape(Path("config.json"))),
    Reader("dvc.lock", release_checks.registered_now),
    Reader("judged.csv", lambda: import_judgements(Path("judged.csv"), None)),
    Reader("label_studio.json", lambda: import_judgements(Path("label_studio.json"), None)),
    Reader("sides.csv", lambda: import_judgements(Path("sideless.json"), Path("sides.csv")), ("sides.csv", "sideless.json")),
    Reader("study/plan.json", plan_study),
    Reader("study/prereg.yaml", lambda: settle_prereg(load_params(), read_anchors(load_params()))),
    Reader("secrets/STUDY", reveal_again),
    Reader("sent.json", collect),
    Reader("data/ballots/STUDY/receipts.json", winrate.main),
    Reader("study/STUDY/commitment.json", lambda: verify("")),
]  # fmt: skip

# Files on which a verdict rests: what is wrong with them is the verdict, never an error, never a pass.
JUDGED = [
    *(Reader(f"metrics/{name}.json", gate.main) for name in ("validate", "split", "accuracy", "winrate", "capability")),
    *(
        Reader(f"study/STUDY/{name}", winrate.main)
        for name in ("commitment.json", "prereg.yaml", "items.jsonl", "key.json", "reveal.json", "ballot-editor-1.html")
    ),
    Reader("data/ballots/STUDY/editor-1.json", winrate.main),
]  # fmt: skip

# What is left is sound: whole rows of a table, fewer keys to set, a file that need not be there.
HARMLESS = {
    *((f"data/mmlu/{model}.jsonl", "cut in half") for model in ("base", "policy")),  # the metrics say so
    ("data/accuracy/slices.csv", "cut in half"),
    ("data/winrate/prompts.csv", "cut in half"),
    ("sizes/gpu.yaml", "cut in half"),
    *(("study/plan.json", name) for name in ("missing", "a link to itself")),
    *(("study/prereg.yaml", name) for name in ("missing", "a link to itself", "a folder", "a pipe")),
    *(
        ("data/ballots/STUDY/receipts.json", name)
        for name in ("missing", "an empty object", "a link to itself")
    ),
    ("data/ballots/STUDY/receipts.json", "half a surrogate"),
    ("sent.json", "utf-16"),  # put back as it was exported
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("sound")
    return folder, build_world(folder)


@pytest.fixture
def world(sound: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A copy of the sound repository to damage; whoever waits for ever in it is interrupted."""
    copy_world(sound[0], tmp_path)
    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it waits for ever"))
    signal.alarm(SECONDS)
    yield sound[1]
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def cases(readers: list[Reader]) -> list[object]:
    return [
        pytest.param(reader, damage, id=f"{reader.file}-{damage}-{place}")
        for place, reader in enumerate(readers)
        for damage in DAMAGES
        if (reader.file, damage) not in HARMLESS
        and not (damage == "utf-16" and reader.file.endswith(".parquet"))
    ]


def test_there_are_enough_of_them() -> None:
    assert len(cases(REFUSING)) + len(cases(JUDGED)) >= 600


@pytest.mark.parametrize("reader", [*REFUSING, *JUDGED], ids=lambda reader: reader.file)
def test_the_sound_repository_is_read_without_complaint(world: str, reader: Reader) -> None:
    if reader.read is not reference.main:  # it would go on to load a model
        reader.read()


@pytest.mark.parametrize(("reader", "damage"), cases(REFUSING))
def test_a_damaged_file_is_refused_with_its_place_and_a_way_out(
    world: str, reader: Reader, damage: str
) -> None:
    file = Path(reader.file.replace("STUDY", world))
    DAMAGES[damage](file)
    before = snapshot(Path())
    with pytest.raises(BluePencilError) as caught:
        reader.read()
    assert caught.value.exit_code == 2
    message = str(caught.value)
    message.encode()
    assert any(place in message for place in reader.places or (file.name,)), message
    assert WAY_OUT.search(message), message
    after = snapshot(Path())
    assert {name: after[name] for name in before if name in after} == {
        name: before[name] for name in before if name in after
    }
    assert not set(after) - set(before)


@pytest.mark.parametrize(("reader", "damage"), cases(JUDGED))
def test_a_damaged_file_behind_a_verdict_never_passes(world: str, reader: Reader, damage: str) -> None:
    file = Path(reader.file.replace("STUDY", world))
    DAMAGES[damage](file)
    reader.read()
    if reader.read is gate.main:
        state = read_json(paths.GATE_METRICS)["gate"]["overall"]["state"]
    else:
        winrate_metrics = read_json(paths.WINRATE_METRICS)["winrate"]
        state = winrate_metrics["status"]
        assert "value" not in winrate_metrics
    assert state in (("invalid", "pending") if is_gone(file) else ("invalid",))


def is_gone(file: Path) -> bool:
    """Nothing that can be read stands there any more, which is not yet wrong."""
    return not file.is_file()
