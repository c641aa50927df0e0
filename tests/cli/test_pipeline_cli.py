"""`bluepencil size`, `repro` and `exp`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages.cli.pipeline import refuse_moved_keys, set_aside_broken_lock, with_overrides
from stages.errors import InputError, ParamsError

ROOT = Path(__file__).parent.parent.parent
PARAMS = (ROOT / "params.yaml").read_text()
SIZES = sorted(path.stem for path in (ROOT / "sizes").glob("*.yaml"))


def sized(name: str, text: str = PARAMS) -> str:
    return with_overrides(text, (ROOT / f"sizes/{name}.yaml").read_text(), place=name)


def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stages", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "stages").symlink_to(ROOT / "stages")
    shutil.copytree(ROOT / "sizes", tmp_path / "sizes")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for folder in ("data/sample", "data/raw/base_model", "data/raw/mmlu"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("pairs.jsonl", "prompts.jsonl"):
        (tmp_path / "data/sample" / name).touch()
    return tmp_path


def test_the_shipped_params_are_the_default_size() -> None:
    assert yaml.safe_load(sized("default")) == yaml.safe_load(PARAMS)


@pytest.mark.parametrize("name", SIZES)
def test_every_size_sets_the_same_keys_and_keeps_every_rule(name: str) -> None:
    def keys(name: str) -> set[str]:
        raw = yaml.safe_load((ROOT / f"sizes/{name}.yaml").read_text())
        return {f"{section}.{key}" for section, values in raw.items() for key in values}

    assert keys(name) == keys("default")
    assert yaml.safe_load(sized("default", sized(name))) == yaml.safe_load(PARAMS)


def test_the_gpu_size_uses_everything_and_keeps_every_comment() -> None:
    text = sized("gpu")
    params = yaml.safe_load(text)
    assert set(params["size"].values()) == {"all"}
    assert params["base_model"]["source"] == params["mmlu"]["source"] == "hub"
    comments = [line.strip() for line in PARAMS.splitlines() if line.strip().startswith("#")]
    assert [line.strip() for line in text.splitlines() if line.strip().startswith("#")] == comments


def test_going_there_and_back_changes_no_value_and_settles_the_text() -> None:
    there_and_back = sized("default", sized("gpu"))
    assert yaml.safe_load(there_and_back) == yaml.safe_load(PARAMS)
    assert sized("default", sized("gpu", there_and_back)) == there_and_back


def test_a_size_cannot_invent_a_key() -> None:
    with pytest.raises(InputError, match=r"sizes/x\.yaml\.train\.bta: is no known key"):
        with_overrides(PARAMS, "train: {bta: 1}", place="x")


def test_a_size_of_ones_own_with_an_old_key_is_told_where_it_is_now() -> None:
    with pytest.raises(InputError, match=r"train\.save_steps: is now watch\.save_steps"):
        with_overrides(PARAMS, "train: {save_steps: 1}", place="x")


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "-S", "runtime.max_length=99"],
        ["run", "--set-param=runtime.max_length=99", "--queue"],
        ["run", "-Sparams.yaml:runtime.max_length=99"],
    ],
)
def test_an_experiment_with_an_old_key_is_told_where_it_is_now(arguments: list[str]) -> None:
    with pytest.raises(ParamsError, match=r"runtime\.max_length: is now rows\.max_length"):
        refuse_moved_keys(arguments)
    refuse_moved_keys(["run", "-S", "rows.max_length=99", "-S", "train.beta=0.3"])


def test_a_size_cannot_break_a_rule() -> None:
    with pytest.raises(ParamsError, match="train.beta"):
        with_overrides(PARAMS, "train: {beta: -1}", place="x")


def test_size_rewrites_params_yaml(project: Path) -> None:
    done = run("size", "gpu", cwd=project)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load((project / "params.yaml").read_text())["runtime"]["device"] == "cuda"


def test_a_wrong_size_changes_nothing(project: Path) -> None:
    done = run("size", "huge", cwd=project)
    assert done.returncode == 2
    assert "sizes/huge.yaml: no such size; name one of default, gpu," in done.stderr
    assert (project / "params.yaml").read_text() == PARAMS


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ("beta: 0.1", "beta: -1", "train.beta"),
        ("data/sample/pairs.jsonl", "data/raw/none.jsonl", "data.pairs: data/raw/none.jsonl does not exist"),
    ],
)
def test_repro_refuses_broken_params_and_missing_inputs_before_dvc_starts(
    project: Path, was: str, becomes: str, said: str
) -> None:
    (project / "params.yaml").write_text(PARAMS.replace(was, becomes))
    done = run("repro", cwd=project)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_repro_and_exp_pass_their_arguments_to_dvc(project: Path) -> None:
    assert "usage: dvc repro" in run("repro", "--help", cwd=project).stdout
    assert "usage: dvc exp" in run("exp", "--help", cwd=project).stdout


def test_a_python_without_the_packages_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "stages").symlink_to(ROOT / "stages")
    done = subprocess.run(
        [sys.executable, "-S", "-m", "stages.validate"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "source .venv/bin/activate" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "damage", ["schema: '2.0'\nstages:\n  split:\n    cm", "schema: '2.0'\nsta: [", "\0"]
)
def test_a_damaged_lock_file_is_set_aside_in_words(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "dvc.lock"
    lock.write_text(damage)
    set_aside_broken_lock(lock)
    assert not lock.exists()
    assert (tmp_path / "dvc.lock.broken").read_text() == damage
    assert "results come from the cache" in capsys.readouterr().err


def test_a_sound_lock_file_stays(tmp_path: Path) -> None:
    lock = tmp_path / "dvc.lock"
    lock.write_text("schema: '2.0'\nstages:\n  split:\n    cmd: python -m stages.split\n")
    set_aside_broken_lock(lock)
    set_aside_broken_lock(tmp_path / "absent.lock")
    assert lock.exists()
