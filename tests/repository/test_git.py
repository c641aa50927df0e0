"""A project in a subfolder of a larger repository: git is asked about that folder alone."""

from pathlib import Path

import pytest

from stages.repository.git import commit_that_added, file_at, files_under, head_revision, uncommitted_files
from tests.support.tiny_repository import git

WATCHED = ("params.yaml", "study/")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two teams in one repository; the current folder is the one of ours."""
    project = tmp_path / "team/project"
    (project / "study/one").mkdir(parents=True)
    (project / "params.yaml").write_text("ours")
    (project / "study/one/commitment.json").write_text("{}")
    (tmp_path / "params.yaml").write_text("of another team")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "all of it")
    monkeypatch.chdir(project)
    return project


def test_another_teams_files_are_not_ours(project: Path) -> None:
    (project.parent.parent / "params.yaml").write_text("changed by another team")
    (project.parent.parent / "study").mkdir()
    (project.parent.parent / "study/new.txt").touch()
    assert uncommitted_files(WATCHED) == []


def test_our_own_changes_are_named_from_our_folder(project: Path) -> None:
    (project / "params.yaml").write_text("changed")
    (project / "study/new.txt").touch()
    (project / "notes.txt").touch()
    assert uncommitted_files(WATCHED) == ["params.yaml", "study/new.txt"]


def test_files_of_a_commit_are_those_of_our_folder(project: Path) -> None:
    rev = head_revision()
    assert file_at(rev, "params.yaml") == b"ours"
    assert file_at(rev, "study") is None
    assert file_at(rev, "nowhere.txt") is None
    assert files_under(rev, "study") == ["study/one/commitment.json"]
    assert commit_that_added("study/one/commitment.json") == rev
