"""What must hold before `bluepencil release` builds anything: gates, clean workspace, no moved goalposts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.decision.verdicts import StoredGates
from stages.errors import InputError
from stages.files.io import read_text, sha256_file
from stages.release.lineage import JudgedStudy
from stages.release.lock_chain import LOCK, md5_of_out, parse_lock
from stages.release.rules import Objections, Registered, differences, object_to_gates, prereg_differences
from stages.repository.dvc import read_yaml, stale_stages
from stages.repository.git import commit_that_added, file_at, uncommitted_files
from stages.run import paths
from stages.run.params import PARAMS_FILE, Params
from stages.study.check import check_study
from stages.study.folder import COMMITMENT, current_study_id, read_study, study_folder
from stages.study.prereg import prereg_from
from stages.variants.variants import flatten_params

WATCHED = ("params.yaml", "dvc.yaml", LOCK, "data/", "metrics/", "reports/", "stages/", "study/")
# The data of a study, by the outs that hold them: what is learned from, what is held out, what is asked.
DATA_OUTS = {
    "the training pairs": paths.TRAIN_PAIRS,
    "the held-out pairs": paths.HOLDOUT_PAIRS,
    "the fresh prompts": paths.VALIDATED_PROMPTS,
}
N_SHOWN = 10


def gather_objections(params: Params, gates: StoredGates) -> tuple[Objections, JudgedStudy | None]:
    """Everything that speaks against a release of the present workspace, and the study that judged it."""
    if not Path(LOCK).is_file():
        return Objections([f"{LOCK}: no such file; run `dvc repro` first"], []), None
    read_yaml(read_text(Path(LOCK)), LOCK)  # before DVC does, whose parser follows any depth and dies of it
    final = list(object_to_workspace())
    overridable = object_to_gates(gates)
    study = None
    if study_folder(current_study_id()).is_dir():
        study, moved, unknown = check_judged_study(params)
        final += moved
        overridable += unknown
    else:
        overridable.append("no blind study of the present texts was opened, so nothing was pre-registered")
    return Objections(final, overridable), study


def object_to_workspace() -> Iterator[str]:
    """What is not committed, or not what `dvc.lock` says."""
    changed = uncommitted_files(WATCHED)
    if changed:
        more = f" and {len(changed) - N_SHOWN} more" if len(changed) > N_SHOWN else ""
        yield f"not committed to git: {', '.join(changed[:N_SHOWN])}{more}; commit them first"
    yield from (f"{line}; run `dvc repro` and look at the gates again" for line in stale_stages())


def check_judged_study(params: Params) -> tuple[JudgedStudy | None, list[str], list[str]]:
    """The open study of the present texts; what moved since it was opened; what cannot be told."""
    study_id = current_study_id()
    files = read_study(study_id)
    moved = [f"study {study_id}: {problem}" for problem in check_study(files).problems]
    if files.parsed_prereg is not None:
        moved += prereg_differences(files.parsed_prereg, prereg_from(params))
    path = study_folder(study_id) / COMMITMENT
    opened_in = commit_that_added(path.as_posix())
    if opened_in is None or not path.is_file():
        return None, [*moved, f"{path}: was never committed to git"], []
    study = JudgedStudy(study_id=study_id, opened_in=opened_in, commitment_sha256=sha256_file(path))
    try:
        opened = registered_in(opened_in)
    except InputError as error:
        return study, moved, [f"what counted when the study was opened cannot be told: {error}"]
    return study, [*moved, *differences(opened, registered_now())], []


def registered_in(rev: str) -> Registered:
    """Limits and data as they stood in a commit; InputError where it lacks what would tell."""
    texts = {name: file_at(rev, name) for name in (str(PARAMS_FILE), LOCK)}
    missing = [name for name, data in texts.items() if data is None]
    if missing:
        raise InputError(f"commit {rev[:7]}, which opened it, has no {' and no '.join(missing)}")
    params, lock = (read_yaml((data or b"").decode(), name) for name, data in texts.items())
    return registered_from(params, lock, place=f"commit {rev[:7]}")


def registered_now() -> Registered:
    """Limits and data as they stand in the workspace."""
    params, lock = (read_yaml(read_text(Path(name)), name) for name in (str(PARAMS_FILE), LOCK))
    return registered_from(params, lock, place="the workspace")


def registered_from(params: Any, lock: Any, *, place: str) -> Registered:
    """Limits by name and hashes of the data by role, from params.yaml and dvc.lock."""
    try:
        stages = parse_lock(lock)
        data = {role: md5_of_out(stages, path.as_posix()) for role, path in DATA_OUTS.items()}
        return Registered(flatten_params(params["limits"]), data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{place}: {LOCK} or params.yaml is incomplete ({error}); run `dvc repro`"
        ) from error
