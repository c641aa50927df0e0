"""DVC's experiments as plain values: parameters, metrics, and where each out lies in the cache."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from stages.errors import InputError


class Experiment(NamedTuple):
    """One row of `dvc exp show`. `outs` gives the cached file of each out that is at hand."""

    name: str
    rev: str
    params: dict[str, Any]
    metrics: dict[str, dict[str, Any]]
    outs: dict[str, Path]
    hashes: dict[str, str]


def list_experiments() -> list[Experiment]:
    """The workspace, every commit and every experiment; InputError outside a DVC repository."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            states = repo.experiments.show(all_commits=True)
            return [_experiment(repo, row) for row in _rows(states)]
    except NotDvcRepoError as error:
        raise InputError("compare: this is no DVC repository; run in the repository's top folder") from error


def resolve_revision(rev: str) -> str | None:
    """The commit that a branch, tag or expression such as HEAD~1 names, or None."""
    from dvc.repo import Repo
    from dvc.scm import RevError, resolve_rev

    with Repo() as repo:
        try:
            return str(resolve_rev(repo.scm, rev))
        except RevError:
            return None


def _rows(states: Any) -> Iterator[Any]:
    for state in states:
        yield state
        for group in state.experiments or []:
            yield from group.revs


def _experiment(repo: Any, row: Any) -> Experiment:
    hashes, outs = {}, {}
    data = row.data
    for path, out in (data.outs if data else {}).items():
        if out.hash:
            hashes[path] = out.hash
            cached = Path(repo.cache.local.oid_to_path(out.hash))
            if cached.is_file():
                outs[path] = cached
    return Experiment(
        name=row.name or row.rev[:7] if row.rev != "workspace" else "workspace",
        rev=row.rev,
        params=_content(data.params if data else {}).get("params.yaml", {}),
        metrics=_content(data.metrics if data else {}),
        outs=outs,
        hashes=hashes,
    )


def _content(files: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {path: file["data"] for path, file in files.items() if isinstance(file.get("data"), dict)}
