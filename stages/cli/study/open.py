"""`bluepencil study open`: refuse what cannot be judged, then draw lots under a fresh secret."""

import secrets
from collections.abc import Sequence
from pathlib import Path

from stages.errors import StudyError
from stages.files.hashing import sha256_hex
from stages.files.io import read_jsonl
from stages.repository.git import would_be_tracked
from stages.run import paths
from stages.run.params import load_params
from stages.run.progress import say
from stages.study.check import check_study, continuation_problems
from stages.study.folder import (
    ballots_folder,
    current_study_id,
    read_study,
    refuse_no_id,
    study_folder,
)
from stages.study.items import BlindItem
from stages.study.lots import SECRET_BYTES
from stages.study.opening import Opening, establish, settle_prereg
from stages.study.prereg import Prereg

N_VOIDS_SHOWN = 20


def open_study(*, continues: str) -> None:
    """Open the study of the current items; StudyError where it is open, too void or unfit.

    `continues` names the study of the first look, where this is the second of two; "" otherwise.
    """
    params = load_params()
    items = read_jsonl(paths.BLIND_ITEMS, BlindItem)
    study_id = current_study_id()
    refuse_opened(study_id)
    refuse_void(items, max_void_prompts=params.study.max_void_prompts)
    refuse_secret_in_git(Path(params.study.secret_path))
    prereg = settle_prereg(params)

    if continues:
        refuse_continuing(continues, items, prereg)
    secret = secrets.token_bytes(SECRET_BYTES)
    opening = Opening(study_id, items, prereg, secret, synthetic=False, continues=continues)
    _say_next(opening, establish(params, opening))


def refuse_continuing(first_id: str, items: Sequence[BlindItem], prereg: Prereg) -> None:
    """StudyError unless the first look is sound, complete, revealed, of two looks and of other prompts."""
    refuse_no_id(first_id)
    if not study_folder(first_id).is_dir():
        raise StudyError(f"{study_folder(first_id)}: there is no such study to continue")
    files = read_study(first_id)
    first = check_study(files)
    problems = [*first.problems, *continuation_problems(files, first)]
    if files.parsed_prereg != prereg:
        problems.append("was pre-registered otherwise than params.yaml says now")
    old = {row.prompt_sha256 for row in first.table}
    n_shared = sum(sha256_hex(item.prompt.encode()) in old for item in items)
    if n_shared:
        problems.append(f"shares {n_shared} prompts with these completions; a second look needs fresh ones")
    shared_ids = sorted({row.prompt_id for row in first.table} & {item.prompt_id for item in items})
    if shared_ids:
        problems.append(
            f"has {len(shared_ids)} prompts with ids that these have too ({', '.join(shared_ids[:3])}); "
            "give fresh prompts ids of their own"
        )
    if problems:
        raise StudyError(f"study {first_id} cannot be continued\n  " + "\n  ".join(problems))


def refuse_opened(study_id: str) -> None:
    """An opened study is never opened again: its pages may be with the editors already."""
    if study_folder(study_id).exists():
        raise StudyError(
            f"{study_folder(study_id)}: this study is open already; see `bluepencil study status`"
        )


def refuse_void(items: Sequence[BlindItem], *, max_void_prompts: int) -> None:
    """StudyError where too many prompts give a model away, or none is left to judge."""
    void = [item for item in items if item.status == "void"]
    lines = [
        f"  prompt {item.prompt_id}: {tell.side}, {tell.rule}: {tell.phrase!r}"
        for item in void
        for tell in item.tells
    ]
    shown = "\n".join(
        lines[:N_VOIDS_SHOWN]
        + ([f"  and {len(lines) - N_VOIDS_SHOWN} more"] if lines[N_VOIDS_SHOWN:] else [])
    )
    if len(void) > max_void_prompts:
        raise StudyError(
            f"{paths.BLIND_ITEMS}: {len(void)} of {len(items)} prompts give a model away, "
            f"study.max_void_prompts allows {max_void_prompts}\n{shown}\n"
            "  change generate.* or the model, or raise study.max_void_prompts and say why"
        )
    if not any(item.status == "shown" for item in items):
        n_identical = sum(item.status == "identical" for item in items)
        raise StudyError(
            f"{paths.BLIND_ITEMS}: nothing is left to show: {n_identical} prompts have identical "
            f"completions, {len(void)} are void" + (f"\n{shown}" if shown else "")
        )


def refuse_secret_in_git(secret_path: Path) -> None:
    """StudyError where git would take the secret along with the next commit."""
    if would_be_tracked(secret_path / "secret"):
        raise StudyError(
            f"study.secret_path {secret_path}: git would track it; add it to .gitignore or name another"
        )


def _say_next(opening: Opening, secret: Path) -> None:
    folder = study_folder(opening.study_id)
    say(f"opened {folder}: one page for each of {', '.join(opening.prereg.editors)}")
    say(f"secret: {secret} (keep a copy in a safe place; without it the ballots cannot be read)")
    say(
        f"next: git add {folder} {ballots_folder(opening.study_id)} && git commit, "
        "then send each editor their page"
    )
