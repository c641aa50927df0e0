"""DVC's experiments as plain values: parameters, metrics, and where each out lies in the cache.

DVC's API says which commits and experiments there are, how they are called and where the cache is.
Their files are read from git directly: `dvc exp show` builds the whole pipeline of every commit
anew, which takes a third of a second for each.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from stages.errors import InputError
from stages.files.hashing import hex_digest
from stages.files.yaml_text import might_be_deep, parse_yaml
from stages.repository.git import list_versions, read_blobs
from stages.run import paths
from stages.run.params import PARAMS_FILE

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where it is built in: ten times faster
LOCK = "dvc.lock"
METRICS = tuple(
    path.as_posix()
    for path in (
        *(paths.VALIDATE_METRICS, paths.SPLIT_METRICS),
        *(paths.ACCURACY_METRICS, paths.WRITING_METRICS, paths.GATE_METRICS),
    )
)
MARGINS = paths.MARGINS.as_posix()
HOLDOUT = paths.HOLDOUT_PAIRS.as_posix()
REFERENCE = paths.REFERENCE_LOGPS.as_posix()
WORKSPACE = "workspace"


class Experiment(NamedTuple):
    """The workspace, a commit or an experiment. `outs` gives the cached file of each out at hand."""

    name: str
    rev: str
    params: dict[str, Any]
    metrics: dict[str, dict[str, Any]]
    outs: dict[str, Path]
    hashes: dict[str, str]
    look: "Look | None" = None
    trained_on: str | None = None


class Look(NamedTuple):
    """One scoring of held-out pairs: the hash of the margins, and that of the pairs where it is known."""

    margins: str
    holdout: str | None


def list_experiments(*, is_brief: bool = False) -> list[Experiment]:
    """The workspace, every commit (only HEAD, if brief) and every experiment; InputError outside of DVC."""
    with _open() as repo:
        names = _name_revisions(repo, is_brief=is_brief)
        files = _read_files(repo, list(names))
        workspace = _experiment(repo, WORKSPACE, WORKSPACE, _read_workspace(Path(repo.root_dir)))
        return [workspace, *(_experiment(repo, rev, name, files[rev]) for rev, name in names.items())]


def read_drawn(revs: Sequence[str]) -> list[Experiment]:
    """What `dvc plots` draws of `revs`: each that there is, and the workspace beside a single one or none."""
    commits = {rev: commit for rev in revs if rev != WORKSPACE and (commit := resolve_revision(rev))}
    with _open() as repo:
        files = _read_files(repo, list(commits.values())) if commits else {}
        drawn = [_experiment(repo, commit, rev, files[commit]) for rev, commit in commits.items()]
        if len(revs) < 2 or WORKSPACE in revs:  # a single one is drawn beside the workspace
            drawn.append(_experiment(repo, WORKSPACE, WORKSPACE, _read_workspace(Path(repo.root_dir))))
        return drawn


def is_made_up(experiment: Experiment) -> bool:
    """Does `validate` or `split` call any of its texts made up?"""
    parts = [
        experiment.metrics.get(path.as_posix(), {}).get(name)
        for name, path in (("validate", paths.VALIDATE_METRICS), ("split", paths.SPLIT_METRICS))
    ]
    return any(isinstance(part, Mapping) and part.get("is_synthetic") is True for part in parts)


def list_past_looks() -> list[Look]:
    """What DVC's run cache remembers: experiments that were removed since have scored pairs, too."""
    with _open() as repo:
        runs = Path(repo.stage_cache.cache_dir)
        texts = (run.read_bytes() for run in sorted(runs.glob("*/*/*")) if run.is_file())
        stages = [_parse_yaml(text) for text in texts if MARGINS.encode() in text]
    return [look for stage in stages if (look := _find_look([stage]))]


def names_on_head() -> set[str]:
    """Names of the experiments made from the commit that is checked out; InputError outside of DVC."""
    from dvc.repo.experiments.utils import exp_refs_by_baseline

    with _open() as repo:
        if repo.scm.no_commits:
            return set()
        head = repo.scm.get_rev()
        return {ref.name for ref in exp_refs_by_baseline(repo.scm, {head})[head]}


def resolve_revision(rev: str) -> str | None:
    """The commit that a branch, tag or expression such as HEAD~1 names, or None."""
    from dvc.scm import RevError, resolve_rev

    with _open() as repo:
        try:
            return str(resolve_rev(repo.scm, rev))
        except RevError:
            return None


def _open() -> Any:
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        return Repo()
    except NotDvcRepoError as error:
        raise InputError("this is no DVC repository; run in the repository's top folder") from error


def _name_revisions(repo: Any, *, is_brief: bool) -> dict[str, str]:
    """Commit -> name: an experiment's own, else that of a branch or tag, else its first seven digits."""
    from dvc.log import logger
    from dvc.repo.experiments.utils import describe, exp_refs

    if repo.scm.no_commits:
        return {}
    commits = describe(repo.scm, [repo.scm.get_rev()] if is_brief else repo.scm.list_all_commits(), logger)
    experiments = {repo.scm.get_ref(str(ref)): ref.name for ref in exp_refs(repo.scm)}
    return {rev: name or rev[:7] for rev, name in (commits | experiments).items()}


def _read_files(repo: Any, revs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Parsed parameters, lock and metrics of each commit; equal contents are parsed once."""
    root = Path(repo.scm.root_dir)
    folder = Path(repo.root_dir).relative_to(root)
    names = {(folder / name).as_posix(): name for name in (str(PARAMS_FILE), LOCK, *METRICS)}
    versions = list_versions(root, revs, list(names))
    kinds = {version.blob: names[version.path] for version in versions}
    parsed = {blob: _parse(kinds[blob], content) for blob, content in read_blobs(root, list(kinds))}
    files: dict[str, dict[str, Any]] = {rev: {} for rev in revs}
    for version in versions:
        files[version.rev][names[version.path]] = parsed[version.blob]
    return files


def _read_workspace(root: Path) -> dict[str, Any]:
    present = [name for name in (str(PARAMS_FILE), LOCK, *METRICS) if (root / name).is_file()]
    return {name: _parse(name, (root / name).read_bytes()) for name in present}


def _parse(name: str, content: bytes) -> dict[str, Any]:
    """A file's mapping; empty where it holds none, as in a commit that was broken."""
    if name.endswith(".json"):
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}
    return _parse_yaml(content)


def _parse_yaml(content: bytes) -> dict[str, Any]:
    try:
        if might_be_deep(content):  # raises: libyaml would end the process without a word
            parse_yaml(content.decode())
        value = yaml.load(content, Loader=Loader)  # noqa: S506 -- a safe loader, with or without libyaml
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _experiment(repo: Any, rev: str, name: str, files: Mapping[str, Any]) -> Experiment:
    locked = files.get(LOCK, {}).get("stages") or {}
    stages = list(locked.values())
    hashes = {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", []) if "md5" in out}
    cached = {path: Path(repo.cache.local.oid_to_path(hash_)) for path, hash_ in hashes.items()}
    return Experiment(
        name=name,
        rev=rev,
        params=files.get(str(PARAMS_FILE), {}),
        metrics={path: files[path] for path in METRICS if files.get(path)},
        outs={path: file for path, file in cached.items() if file.is_file()},
        hashes=hashes,
        look=_find_look(stages),
        trained_on=_hash_deps(locked.get("train")),
    )


def _find_look(stages: Sequence[Mapping[str, Any]]) -> Look | None:
    """From the lock entry of the stage that wrote the margins; None where it scored no held-out pair."""
    for stage in stages:
        settings = (stage.get("params") or {}).get(str(PARAMS_FILE), {})
        if settings.get("size.n_holdout_scored") == 0:
            continue
        margins = next((out.get("md5") for out in stage.get("outs", []) if out["path"] == MARGINS), None)
        if margins:
            deps = {dep["path"]: dep.get("md5") for dep in stage.get("deps", [])}
            return Look(margins, deps.get(HOLDOUT))
    return None


def _hash_deps(locked: Mapping[str, Any] | None) -> str | None:
    """One hash of everything that a stage read, code included; None where it has not run.

    The base's log-probs follow from the rest, and hold as many pairs as a run asked for.
    """
    read = [dep for dep in (locked or {}).get("deps", []) if dep["path"] != REFERENCE]
    deps = sorted(f"{dep['path']} {dep.get('md5')}" for dep in read)
    return hex_digest(*deps) if deps else None
