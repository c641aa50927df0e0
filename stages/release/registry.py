"""The model registry: `artifacts` of dvc.yaml, and GTO's git tags `<artifact>@v1.2.3`."""

from pathlib import Path
from typing import Any

from stages.errors import InputError, ReleaseError
from stages.repository.git import tagger


def artifact_of(path: Path) -> str:
    """The name under which dvc.yaml has `path` as an artifact; InputError where it has none."""
    from dvc.repo import Repo

    with Repo() as repo:
        artifacts = repo.artifacts.read().get("dvc.yaml", {})
    names = [name for name, one in artifacts.items() if one.path == path.as_posix()]
    if not names:
        raise InputError(f"dvc.yaml: `artifacts` has no entry with the path {path}; put one back")
    return str(names[0])


def settle_version(artifact: str, rev: str, wanted: str | None) -> str:
    """The version to register: the wanted one, else the next patch after the latest one.

    ReleaseError where it is no semantic version, is taken, or the commit has a version already.
    """
    from gto import versions
    from gto.registry import GitRegistry

    semantic: Any = versions.SemVer
    if wanted is not None and not semantic.is_valid(wanted):
        raise ReleaseError(f"--version {wanted}: is no semantic version with a v before it, such as v1.0.0")
    with GitRegistry.from_url(".") as registry:
        found: Any = registry.find_artifact(artifact, create_new=True)
        there = found.find_version(commit_hexsha=rev)
        if there is not None and there.is_registered and there.is_active:
            raise ReleaseError(
                f"{artifact}@{there.version}: this commit is released already; one commit has one version"
            )
        if wanted is not None:
            if found.find_version(name=wanted) is not None:
                raise ReleaseError(f"{artifact}@{wanted}: this version is taken; name another")
            return wanted
        latest = found.get_latest_version(registered_only=True)
        chosen = semantic(latest.version).bump_patch() if latest else semantic.get_minimal()
        return str(chosen.version)


def register(artifact: str, version: str, rev: str, message: str) -> None:
    """Write the annotated tag `<artifact>@<version>` at `rev`."""
    from gto import api
    from gto.exceptions import GTOException

    name, email = tagger()
    try:
        api.register(".", artifact, rev, version=version, message=message, author=name, author_email=email)
    except GTOException as error:
        raise ReleaseError(f"{artifact}@{version}: cannot be registered ({error})") from error


def unregister(artifact: str, version: str) -> None:
    """Take the tag back, of a release that could not be put in its place."""
    from gto import api

    api.deregister(".", artifact, version=version, delete=True)
