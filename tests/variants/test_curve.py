"""Experiments as a learning curve: which belong together, how it is told, and which runs are queued."""

import json
import random
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from stages.cli.app import app
from stages.errors import InputError
from stages.files.io import write_json, write_jsonl
from stages.run import paths
from stages.variants.as_variant import as_variant
from stages.variants.compare import choose_experiments, describe_choice
from stages.variants.curve import FoundCurve, NoCurve, default_sizes, find_curve
from stages.variants.curve_page import describe_curve, make_panel, print_curve
from stages.variants.curve_runs import make_curve as make_runs_of_curve
from stages.variants.experiments import MARGINS, Experiment, Look
from tests.support.decision_factory import make_params
from tests.support.margin_factory import make_row

SPLIT_METRICS = paths.SPLIT_METRICS.as_posix()
GOLDEN = Path(__file__).parent.parent / "golden/curve.txt"
EASE = [random.Random(number).random() for number in range(200)]


def make_run(
    folder: Path, n_pairs: int, seed: int, *, share: float = 0.6, n: int = 200, **changes: Any
) -> Experiment:
    """A run that is right on a pair where its ease, and a little luck, lie below `share`."""
    draw = random.Random(f"{n_pairs} {seed}")
    rows = [
        make_row(
            f"s{place:03d}", 0.4 if ease + draw.uniform(-0.1, 0.1) < share else -0.3, part="selection",
            component_id=f"c{place // 2}", section=("aims", "budget")[place % 2], editor=f"editor-{place % 3}",
        )
        for place, ease in enumerate(EASE[:n])
    ]  # fmt: skip
    file = folder / f"{n_pairs}-{seed}.jsonl"
    write_jsonl(file, rows)
    params = make_params()
    params["train"] |= {"n_pairs": n_pairs, "seed": seed, **changes}
    params["size"]["n_holdout_scored"] = 0
    name = f"curve-{n_pairs}-seed-{seed}"
    metrics = {SPLIT_METRICS: {"split": {"n_train": 2000}}}
    return Experiment(name, name, params, metrics, {MARGINS: file}, {MARGINS: name}, trained_on="same")


def make_curve(folder: Path) -> list[Experiment]:
    shares = {500: 0.56, 1000: 0.6, 2000: 0.63}
    return [make_run(folder, n, seed, share=share) for n, share in shares.items() for seed in (42, 43)]


def found_in(runs: list[Experiment]) -> FoundCurve:
    found = find_curve(runs, tolerance=1e-3)
    assert isinstance(found, FoundCurve), found
    return found


def test_runs_that_differ_in_size_and_seed_alone_are_one_curve(tmp_path: Path) -> None:
    other = make_run(tmp_path, 250, 7, beta=0.3)
    found = found_in([*make_curve(tmp_path), other])
    assert [(one.n_pairs, one.n_seeds) for one in found.curve.points] == [(500, 2), (1000, 2), (2000, 2)]
    assert found.n_others == 0


def test_other_code_or_pairs_make_another_curve(tmp_path: Path) -> None:
    runs = make_curve(tmp_path)
    found = found_in([*runs[:4], *(one._replace(trained_on="other") for one in runs[4:])])
    assert [one.n_pairs for one in found.curve.points] == [500, 1000]


def test_the_size_of_a_run_is_the_least_of_what_it_could_use(tmp_path: Path) -> None:
    runs = make_curve(tmp_path)
    runs[4].params["train"]["n_pairs"] = "all"  # of size.n_train, which is all of the 2,000
    runs[5].params["train"]["n_pairs"] = "all"
    runs[5].params["size"]["n_train"] = 1500
    found = found_in(runs)
    assert [one.n_pairs for one in found.curve.points] == [500, 1000, 1500, 2000]


def test_the_same_run_twice_counts_once(tmp_path: Path) -> None:
    runs = make_curve(tmp_path)
    assert found_in([*runs, runs[0]._replace(name="workspace")]) == found_in(runs)


def test_without_two_sizes_there_is_no_curve(tmp_path: Path) -> None:
    found = find_curve(make_curve(tmp_path)[:2], tolerance=1e-3)
    assert isinstance(found, NoCurve)
    assert "bluepencil curve --run" in found.sentence


def test_runs_on_other_selection_pairs_are_no_curve(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, 500, 1), make_run(tmp_path, 1000, 1, n=150)]
    assert find_curve(runs, tolerance=1e-3) == NoCurve(
        "The runs were scored on no selection pairs, or on different ones."
    )


def test_it_fits_eighty_columns(tmp_path: Path) -> None:
    console = Console(width=80, record=True, file=StringIO(), markup=False, highlight=False)
    print_curve(found_in(make_curve(tmp_path)), console)
    text = "".join(f"{line.rstrip()}\n" for line in console.export_text().splitlines())
    assert max(map(len, text.splitlines())) <= 80
    assert text == GOLDEN.read_text(encoding="utf-8"), text


def test_the_page_and_the_kept_file_say_the_same(tmp_path: Path) -> None:
    found = found_in(make_curve(tmp_path))
    panel, kept = make_panel(found), describe_curve(found)
    assert [dot.name for dot in panel.plot.dots] == ["500 pairs", "1,000 pairs", "2,000 pairs"]
    assert not any(dot.is_named for dot in panel.plot.dots)  # a name would lie on the range beside it
    assert all(dot.reach and 0 < dot.reach.low < dot.y < dot.reach.high < 100 for dot in panel.plot.dots)
    assert kept["n_pairs"] == 2000
    assert kept["average"]["low"] == found.curve.average.low
    assert kept["helps"] == ("More pairs would help" in panel.sentence)
    json.dumps(kept, allow_nan=False)


def test_a_run_of_a_curve_is_no_look_has_no_verdict_and_no_rank(tmp_path: Path) -> None:
    run = make_run(tmp_path, 500, 42)
    run.metrics["metrics/gate.json"] = {"gate": "of the commit that it started from"}
    assert as_variant(run, with_length=False).gates is None
    assert describe_choice(run, n_looks=1, tolerance=1e-3) is None
    scored = run._replace(name="scored", look=Look("margins", "pairs"))
    assert [one.name for one in choose_experiments([run, scored], [])] == ["scored"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_json(Path("params.yaml"), make_params())  # JSON is YAML
    write_json(paths.SPLIT_METRICS, {"split": {"n_train": 2001}})
    return tmp_path


def make_named(sizes: list[int], call: Any, **how: Any) -> None:
    make_runs_of_curve(sizes, **{"n_seeds": 1, "is_queued": False, "there": (), "call": call, **how})


@pytest.mark.parametrize(("is_queued", "where"), [(True, "--queue"), (False, "--temp")])
def test_a_quarter_a_half_and_all_are_run_with_two_seeds(project: Path, is_queued: bool, where: str) -> None:
    assert default_sizes(2001) == [501, 1001, 2001]
    called: list[list[str]] = []
    make_named([], lambda words: called.append(words) or 0, n_seeds=2, is_queued=is_queued)
    assert len(called) == 6
    assert called[0] == [
        "exp", "run", where, "--name", "curve-501-seed-42", "-S", "train.n_pairs=501",
        "-S", "train.seed=42", "-S", "size.n_holdout_scored=0", "accuracy",
    ]  # fmt: skip


def test_runs_that_are_there_are_not_made_again(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    called: list[list[str]] = []
    make_named([500, 1000, 2001], lambda words: called.append(words) or 0, there={"curve-1000-seed-42"})
    assert [words[4] for words in called] == ["curve-500-seed-42", "curve-2001-seed-42"]
    said = capsys.readouterr().err
    assert "1 of 3 runs are there already" in said
    assert "run 2 of 2: 2001 pairs, seed 42" in said


def test_a_size_that_is_not_there_is_refused_before_anything_is_queued(project: Path) -> None:
    with pytest.raises(InputError, match="--size 2002: size.n_train has 2001 pairs"):
        make_named([500, 2002], lambda words: pytest.fail("queued"))


def test_what_dvc_refuses_is_named(project: Path) -> None:
    with pytest.raises(InputError, match=r"curve-500-seed-42: DVC did not queue it \(exit code 255\)"):
        make_named([500], lambda words: 255, is_queued=True)
    with pytest.raises(InputError, match=r"did not finish it \(exit code 1\).* What is done stays"):
        make_named([500], lambda words: 1)


@pytest.mark.parametrize(
    "broken", [{}, {"split": {}}, {"split": {"n_train": "many"}}, {"split": {"n_train": 0}}]
)
def test_a_split_file_without_its_count_is_named_before_anything_is_queued(
    project: Path, broken: dict[str, object]
) -> None:
    write_json(paths.SPLIT_METRICS, broken)
    with pytest.raises(InputError, match=r"metrics/split\.json: .*split.*`dvc repro split`"):
        make_named([], lambda words: pytest.fail("queued"))


@pytest.mark.parametrize("other", ["--run", "--keep"])
def test_a_queue_goes_with_nothing_that_wants_its_runs(project: Path, other: str) -> None:
    done = CliRunner().invoke(app, ["curve", "--queue", other])
    assert isinstance(done.exception, InputError)
    assert "--queue goes with neither" in str(done.exception)
