"""`bluepencil study open`: refuse what cannot be judged, then draw lots under a fresh secret."""

import secrets
import subprocess
from collections.abc import Sequence
from pathlib import Path

from stages import paths
from stages.cli.study_writing import Opening, establish
from stages.core.items import BlindItem
from stages.core.lots import SECRET_BYTES
from stages.core.prereg import Prereg
from stages.core.seal import sha256_hex
from stages.core.verify import check_study, continuation_problems
from stages.errors import StudyError
from stages.io import read_jsonl
from stages.params import Params, load_params
from stages.progress import say
from stages.study_files import (
    PREREG,
    ballots_folder,
    current_study_id,
    parse_prereg,
    read_bytes,
    read_study,
    refuse_no_id,
    study_folder,
)

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


def prereg_from(params: Params) -> Prereg:
    """The pre-registration that the parameters ask for."""
    study = params.study
    return Prereg(
        n_prompts=params.generate.n_prompts,
        editors=list(study.editors),
        n_repeats=study.n_repeats,
        min_repeat_distance=study.min_repeat_distance,
        n_anchors=study.n_anchors,
        looks=study.looks,
        max_void_prompts=study.max_void_prompts,
        min_share=params.limits.winrate.min_share,
        chance=params.limits.winrate.chance,
    )


def settle_prereg(params: Params) -> Prereg:
    """What `study plan` wrote, if it did; StudyError where the parameters have moved since."""
    path, wanted = paths.STUDY / PREREG, prereg_from(params)
    written = read_bytes(path)
    if written is not None and parse_prereg(written) != wanted:
        raise StudyError(
            f"{path}: was written for other parameters than params.yaml has now\n"
            "  put params.yaml back, or run `bluepencil study plan` again and say in git why"
        )
    return wanted


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
    folder = next(
        parent for parent in [secret_path.absolute(), *secret_path.absolute().parents] if parent.is_dir()
    )
    try:
        inside = _git(folder, "rev-parse", "--is-inside-work-tree")
        ignored = _git(folder, "check-ignore", "-q", str(secret_path.absolute() / "secret"))
    except FileNotFoundError:
        return  # no git, so nothing can be committed
    if inside == 0 and ignored != 0:
        raise StudyError(
            f"study.secret_path {secret_path}: git would track it; add it to .gitignore or name another"
        )


def _git(folder: Path, *arguments: str) -> int:
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False).returncode


def _say_next(opening: Opening, secret: Path) -> None:
    folder = study_folder(opening.study_id)
    say(f"opened {folder}: one page for each of {', '.join(opening.prereg.editors)}")
    say(f"secret: {secret} (keep a copy in a safe place; without it the ballots cannot be read)")
    say(
        f"next: git add {folder} {ballots_folder(opening.study_id)} && git commit, "
        "then send each editor their page"
    )
