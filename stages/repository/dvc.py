"""What DVC knows of the workspace and its cache, as plain values."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from stages.errors import InputError
from stages.files import yaml_text


def stale_stages() -> list[str]:
    """Each stage that `dvc repro` would run again, with what changed; InputError outside a DVC repository."""
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            status: Mapping[str, Any] = repo.status()
    except NotDvcRepoError as error:
        raise InputError("release: this is no DVC repository; run in the repository's top folder") from error
    except DvcException as error:
        raise InputError(f"release: `dvc status` fails ({error})") from error
    return [f"stage {name}: {', '.join(_changes(entries))}" for name, entries in sorted(status.items())]


def _changes(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry, str):
            yield entry
            continue
        for kind, paths in entry.items():
            yield f"{kind} ({', '.join(paths)})" if isinstance(paths, Mapping) else str(kind)


class CacheCheck(NamedTuple):
    """`found` is the MD5 of what the cache holds under a hash, None where it holds nothing of it."""

    found: str | None
    n_missing: int  # files of a folder that are not in the cache


def read_yaml(text: str, place: str) -> Any:
    """YAML as DVC reads it: values of dvc.lock then compare equal. InputError where it is none."""
    from dvc.utils.serialize import YAMLFileCorruptedError, parse_yaml

    try:
        yaml_text.parse_yaml(text)  # refuses quickly what DVC's reader would follow without end
        return parse_yaml(text, place)
    except (YAMLFileCorruptedError, ValueError) as error:
        raise InputError(f"{place}: not readable as YAML ({error}); restore it from git") from error


def check_cached(cache: Path, md5: str) -> CacheCheck:
    """Hash the object `md5` of a DVC cache again; a folder (`.dir`) with every file that it lists.

    A folder is found as itself only where all its files are there and whole.
    """
    file = cache / "files" / "md5" / md5[:2] / md5[2:]
    if not file.is_file():
        return CacheCheck(None, 0)
    found = md5_file(file)
    if not md5.endswith(".dir"):
        return CacheCheck(found, 0)
    if f"{found}.dir" != md5:
        return CacheCheck(f"{found}.dir", 0)
    try:
        listed = [str(entry["md5"]) for entry in json.loads(file.read_bytes())]
    except (ValueError, KeyError, TypeError, RecursionError):
        return CacheCheck("no list of files", 0)
    checks = [(one, check_cached(cache, one).found) for one in listed]
    broken = [f"{came} inside of it" for one, came in checks if came not in (one, None)]
    return CacheCheck(broken[0] if broken else md5, sum(came is None for _, came in checks))


def cache_folder() -> Path | None:
    """Where the repository around the current folder keeps its cache; None outside of one."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            return Path(repo.cache.local_cache_dir)
    except NotDvcRepoError:
        return None


def md5_file(path: Path) -> str:
    """Hex MD5, which DVC names contents by."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def md5_bytes(data: bytes) -> str:
    """Hex MD5 of bytes."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def md5_folder(files: Mapping[str, str]) -> str:
    """DVC's name for a folder, from the MD5 of each file by its path inside; ends in `.dir`."""
    rows = [{"md5": md5, "relpath": name} for name, md5 in sorted(files.items())]
    return f"{md5_bytes(json.dumps(rows, sort_keys=True).encode())}.dir"
