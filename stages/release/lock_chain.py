"""`dvc.lock` as a chain: which stage wrote a file, from what, back to the raw inputs."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from stages.release.lineage import Misfit, Number

LOCK = "dvc.lock"


class Entry(NamedTuple):
    """One path with the MD5 that DVC recorded for it; a folder's ends in `.dir`."""

    path: str
    md5: str


class LockedStage(NamedTuple):
    """One stage as it last ran."""

    name: str
    deps: tuple[Entry, ...]
    outs: tuple[Entry, ...]
    params: Mapping[str, Any]  # dotted name: value, of params.yaml


def parse_lock(document: Any) -> list[LockedStage]:
    """The stages of a parsed `dvc.lock`; ValueError where it is not one."""
    stages = document.get("stages") if isinstance(document, Mapping) else None
    if not isinstance(stages, Mapping):
        raise ValueError("has no `stages`")
    return [_stage(name, locked) for name, locked in stages.items()]


def _stage(name: str, locked: Any) -> LockedStage:
    try:
        return LockedStage(
            name,
            tuple(Entry(one["path"], one["md5"]) for one in locked.get("deps", [])),
            tuple(Entry(one["path"], one["md5"]) for one in locked.get("outs", [])),
            dict(locked.get("params", {}).get("params.yaml", {})),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"stage {name} is not as DVC writes it") from error


def writer_of(stages: list[LockedStage], path: str) -> LockedStage | None:
    """The stage that wrote `path`, or the folder it lies in; None for a raw input."""
    for stage in stages:
        if any(path == out.path or path.startswith(f"{out.path}/") for out in stage.outs):
            return stage
    return None


def all_entries(stages: list[LockedStage]) -> list[Entry]:
    """Every path of every stage, once, in order; the same path twice only with two hashes."""
    return sorted({entry for stage in stages for entry in (*stage.deps, *stage.outs)})


def md5_of_out(stages: list[LockedStage], path: str) -> str:
    """The MD5 of the out `path`; ValueError where no stage has it."""
    for stage in stages:
        for out in stage.outs:
            if out.path == path:
                return out.md5
    raise ValueError(f"no stage has the out {path}")


def upstream(stages: list[LockedStage], path: str) -> tuple[list[str], list[Entry]]:
    """Stages behind `path`, nearest first, and the inputs that no stage wrote (code and data)."""
    names: list[str] = []
    raw: set[Entry] = set()
    queue = [path]
    while queue:
        stage = writer_of(stages, queue.pop(0))
        if stage is None or stage.name in names:
            continue
        names.append(stage.name)
        raw |= {dep for dep in stage.deps if writer_of(stages, dep.path) is None}
        queue += [dep.path for dep in stage.deps]
    return names, sorted(raw)


def check_chain(
    stages: list[LockedStage], *, md5s: Mapping[str, str], params: Mapping[str, Any]
) -> Iterator[Misfit]:
    """What does not fit inside the lock file: hand-overs between stages, copies of outs, parameters.

    `md5s` are those of the release's copies, by path in the repository; `params` is params.yaml.
    """
    outs = {out.path: out.md5 for stage in stages for out in stage.outs}
    for path, md5 in sorted(md5s.items()):
        if outs.get(path, "no stage wrote it") != md5:
            yield Misfit(path, f"differs from its hash in {LOCK}", outs.get(path, "no stage wrote it"), md5)
    for stage in stages:
        for dep in stage.deps:
            if outs.get(dep.path, dep.md5) != dep.md5:
                rule = f"was read by stage {stage.name} in another state than it was written in"
                yield Misfit(dep.path, rule, outs[dep.path], dep.md5)
        for name, value in stage.params.items():
            present = look_up(params, name)
            if present != value:
                rule = f"{name} is not what stage {stage.name} was run with"
                yield Misfit("params.yaml", rule, repr(value), repr(present))


def check_numbers(numbers: list[Number], documents: Mapping[str, Mapping[str, Any]]) -> Iterator[Misfit]:
    """Numbers of the lineage that their metrics file does not hold any more."""
    for number in numbers:
        found = look_up(documents.get(number.file, {}), number.name)
        if found != number.value:
            yield Misfit(number.file, f"{number.name} differs", repr(number.value), repr(found))


def look_up(document: Mapping[str, Any], name: str) -> Any:
    """The value under a dotted name, or None."""
    value: Any = document
    for key in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value
