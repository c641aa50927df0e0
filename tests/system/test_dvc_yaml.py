"""`dvc.yaml` tells the truth: about the code a stage uses, the parameters it reads, the files it writes."""

import ast
import re
from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml

from stages.cli.pipeline import with_overrides
from stages.run import paths
from tests.support.import_closure import ROOT, code_used
from tests.support.tiny_repository import CommandLine
from tests.support.whole_repository import copy_whole_repository

STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
BASE_SIDE = ["base_model", "questions", "validate", "split", "reference"]


def names(entries: list[Any]) -> list[str]:
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def outs(stage: dict[str, Any]) -> list[str]:
    return names(stage.get("outs", []) + stage.get("metrics", []))


@pytest.mark.parametrize("stage", STAGES)
def test_the_code_deps_cover_what_a_stage_imports_and_none_is_idle(stage: str) -> None:
    listed = {dep for dep in STAGES[stage]["deps"] if dep.startswith("stages/")}
    used = code_used(stage)
    covered = {dep: {file for file in used if file == dep or file.startswith(f"{dep}/")} for dep in listed}
    assert f"stages/{stage}.py" in listed
    assert used == set().union(*covered.values())
    assert [dep for dep, files in covered.items() if not files] == []


def test_the_files_of_the_top_folder_are_the_stages_and_nothing_imports_them() -> None:
    files = {file.stem for file in (ROOT / "stages").glob("*.py")} - {"__init__", "__main__", "errors"}
    assert files == set(STAGES)
    graph = grimp.build_graph("stages", cache_dir=None)
    assert {stage: graph.find_modules_that_directly_import(f"stages.{stage}") for stage in STAGES} == {
        stage: set() for stage in STAGES
    }


@pytest.mark.parametrize("stage", STAGES)
def test_every_parameter_a_stage_reads_is_tracked(stage: str) -> None:
    tracked = STAGES[stage].get("params", [])
    read = parameters_read(ROOT / f"stages/{stage}.py")
    if stage == "train":  # how a run is saved and checked changes no out; a test below shows it
        read = {key for key in read if key.split(".")[0] != "watch"}
    for key in read:
        assert any(key == name or key.startswith(f"{name}.") for name in tracked), (
            f"{key} is not in {tracked}"
        )


def test_how_a_run_is_watched_trains_nothing_again_and_beta_does(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    repository = copy_whole_repository(tmp_path_factory, tmp_path / "repository")
    params = repository / "params.yaml"
    shipped = params.read_text()

    def stages_run(change: str) -> list[str]:
        """Of `train` and what it needs, after a change of one section."""
        params.write_text(with_overrides(shipped, change, place="changed"))
        done = CommandLine(repository).run("dvc", "repro", "--dry", "train")
        assert done.returncode == 0, done.stderr
        return re.findall(r"Running stage '(\w+)'", done.stdout)

    assert stages_run("watch: {save_steps: 7, max_loss_growth: 50.0, margin_tolerance: 0.002}") == []
    assert stages_run("train: {beta: 0.2}") == ["train"]
    assert stages_run("train: {chosen_drop_limit: 0.4}") == ["train"]  # log.csv says what is above it


def parameters_read(file: Path) -> set[str]:
    """Dotted keys taken from `load_params()`, directly or through a name bound to it or to a part of it."""
    tree = ast.parse(file.read_text())
    bound: dict[str, str] = {}

    def key_of(node: ast.expr) -> str | None:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "load_params":
            return ""
        if isinstance(node, ast.Name):
            return bound.get(node.id)
        if isinstance(node, ast.Attribute):
            above = key_of(node.value)
            return None if above is None else f"{above}.{node.attr}".strip(".")
        return None

    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            targets, values = node.targets[0], node.value
            both_tuples = isinstance(targets, ast.Tuple) and isinstance(values, ast.Tuple)
            pairs = zip(targets.elts, values.elts, strict=True) if both_tuples else [(targets, values)]
            for target, value in pairs:
                key = key_of(value)
                if isinstance(target, ast.Name) and key is not None:
                    bound[target.id] = key
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assigned = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Assign)}
    assigned |= {
        id(e) for n in ast.walk(tree) if isinstance(n, ast.Assign) for e in getattr(n.value, "elts", [])
    }
    found = {
        key_of(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Name)
        and isinstance(node.ctx, ast.Load)
        and id(node) not in inner | assigned
    }
    keys = {key.removesuffix(".model_dump").replace("validate_", "validate") for key in found if key}
    return {key for key in keys if key.split(".")[0] in yaml.safe_load((ROOT / "params.yaml").read_text())}


def test_the_reader_of_parameters_sees_them() -> None:
    assert "size.n_train" in parameters_read(ROOT / "stages/train.py")
    assert {"runtime", "watch", "processes.accelerate_config"} < parameters_read(ROOT / "stages/train.py")
    assert "base_model.source" in parameters_read(ROOT / "stages/base_model.py")
    assert "watch.margin_tolerance" in parameters_read(ROOT / "stages/accuracy.py")


@pytest.mark.parametrize("stage", STAGES)
def test_every_path_of_a_stage_is_a_dep_or_an_out(stage: str) -> None:
    entries = STAGES[stage]["deps"] + outs(STAGES[stage])
    declared = [entry.replace("${item.model}", model) for entry in entries for model in ("base", "policy")]
    for path in paths_used(ROOT / f"stages/{stage}.py"):
        assert any(path.startswith(entry) or entry.startswith(path) for entry in declared), path


def paths_used(file: Path) -> set[str]:
    """Values of `paths.X`, but for those that are only named in a message."""
    tree = ast.parse(file.read_text())
    in_messages = {
        id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)
    }
    used = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "paths":
            value = getattr(paths, node.attr)
            if id(node) not in in_messages:
                values = [value("base"), value("policy")] if callable(value) else [value]
                used |= {str(one) for one in (value.values() if isinstance(value, dict) else values)}
    return used


@pytest.mark.parametrize("stage", STAGES)
def test_the_path_says_which_stage_wrote_a_file(stage: str) -> None:
    models = {"base_model": ("models/base",), "train": ("models/policy",)}.get(stage, ())
    reports = ("reports/",) if stage == "report" else ()
    metrics = f"metrics/{'probe' if stage == 'probe_summary' else stage}.json"  # `probe` has cached outs only
    for out in outs(STAGES[stage]):
        assert out.startswith((f"data/{stage}", metrics, *models, *reports)), out


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_runs_as_a_module_of_its_own_name(stage: str) -> None:
    argument = " ${item.model}" if "matrix" in STAGES[stage] else ""
    assert STAGES[stage]["cmd"] == f"python -m stages.{stage}{argument}"


@pytest.mark.parametrize("stage", BASE_SIDE)
def test_the_bases_side_never_depends_on_training(stage: str) -> None:
    assert not [key for key in STAGES[stage].get("params", []) if key.startswith("train")]
    assert not [dep for dep in STAGES[stage]["deps"] if "policy" in dep or dep.startswith("data/train")]


@pytest.mark.parametrize("stage", ["generate", "mmlu", "probe"])
def test_answering_depends_on_training_through_the_model_alone(stage: str) -> None:
    assert not [key for key in STAGES[stage]["params"] if key.startswith("train")]
    assert "models/${item.model}" in STAGES[stage]["deps"]


def test_stages_that_need_a_model_have_cached_outs_only() -> None:
    # a run-cache hit needs it, and `dvc push` would not push an uncached metric
    for stage in ("base_model", "reference", "train", "holdout", "generate", "mmlu", "probe"):
        assert all(isinstance(out, str) for out in STAGES[stage]["outs"]), stage
        assert "metrics" not in STAGES[stage], stage


def test_no_stage_escapes_the_run_cache() -> None:
    for stage in STAGES.values():
        assert not stage.get("always_changed")
        assert not any(
            isinstance(out, dict) and next(iter(out.values())).get("persist") for out in stage.get("outs", [])
        )
