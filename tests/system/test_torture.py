"""A short `make torture`: the stages before any model, attacked in a tiny repository, heal themselves."""

from pathlib import Path

import pytest

from tests.support.disturbances import (
    Disturbance,
    Repository,
    Seen,
    file_size_limits,
    kill_stage,
    truncated_lock,
    truncated_out,
)
from tests.support.tiny_repository import make_tiny_repository
from tests.support.torture import Case, run_case

pytestmark = pytest.mark.slow
LAST = "split"  # and all before it: base_model apart, the stages that need no model


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    repository = Repository(make_tiny_repository(tmp_path_factory.mktemp("torture") / "template/repository"))
    done = repository.dvc("repro", LAST)
    assert done.returncode == 0, done.stderr
    return repository


@pytest.mark.parametrize(
    ("stage", "disturb"),
    [
        ("validate", kill_stage(1.0)),
        ("split", truncated_out),
        ("split", file_size_limits),
        (None, truncated_lock),
    ],
    ids=["killed", "half-written", "disk full", "lock half-written"],
)
def test_the_next_repro_ends_with_the_same_bytes(
    stage: str | None, disturb: Disturbance, template: Repository, tmp_path: Path
) -> None:
    result = run_case(Case("short", stage, disturb), template, tmp_path / "case/repository", target=LAST)
    assert result.state == "passed", result.detail


def test_an_answer_that_changed_is_not_called_healed(template: Repository, tmp_path: Path) -> None:
    def change_a_parameter(repository: Repository, _: str | None) -> Seen:
        params = repository.root / "params.yaml"
        params.write_text(params.read_text().replace("n_selection: 10", "n_selection: 11"))
        return Seen("changed")

    case = Case("a real change", None, change_a_parameter)
    result = run_case(case, template, tmp_path / "case/repository", target=LAST)
    assert (result.state, result.detail) == ("failed", "dvc.lock differs in ['split']")
