"""A study is opened: what cannot be judged is refused, lots are drawn, everything is written and sealed."""

import secrets
from collections.abc import Sequence
from pathlib import Path

from stages.errors import StudyError
from stages.files.hashing import sha256_hex
from stages.files.io import read_jsonl, replacing_folder, sha256_file, write_jsonl, write_text
from stages.run import paths
from stages.run.params import Params, load_params
from stages.run.progress import say
from stages.study.anchors import Anchor, anchor_problems
from stages.study.ballot_page import render_editor_page
from stages.study.check import check_study, continuation_problems
from stages.study.design import SECRET_BYTES
from stages.study.folder import (
    COMMITMENT,
    PREREG,
    TABLE,
    ballots_folder,
    current_study_id,
    page_file,
    read_bytes,
    read_study,
    refuse_no_id,
    study_folder,
)
from stages.study.items import BlindItem
from stages.study.prereg import Prereg, parse_prereg, prereg_from, render_prereg
from stages.study.seal import (
    Commitment,
    Key,
    Opening,
    PageSeal,
    commitment_bytes,
    key_bytes,
    make_key,
    make_table,
    page_id,
    seal,
)
from stages.study.secret import refuse_secret_in_git, write_secret

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
    anchors = read_anchors(params)
    prereg = settle_prereg(params, anchors)

    if continues:
        refuse_continuing(continues, items, prereg)
    secret = secrets.token_bytes(SECRET_BYTES)
    project = params.project
    opening = Opening(
        study_id, items, prereg, secret, synthetic=False, continues=continues,
        anchors=anchors, texts=project.texts, language=project.language,
        minutes=params.study.plan.minutes_per_screen,
    )  # fmt: skip
    _say_next(opening, establish(params, opening))


def read_anchors(params: Params) -> list[Anchor]:
    """The anchors of `study.anchors`; StudyError where they cannot show that an editor is awake."""
    path = Path(params.study.anchors)
    anchors = read_jsonl(path, Anchor)
    problems = list(anchor_problems(anchors, n_wanted=params.study.n_anchors))
    if problems:
        raise StudyError(f"{path}: cannot serve as anchors\n  " + "\n  ".join(problems))
    return anchors


def name_anchors(prereg: Prereg, anchors: Sequence[Anchor]) -> Prereg:
    """The pre-registration with the names that lots are drawn from."""
    return prereg.model_copy(update={"anchors": [anchor.name for anchor in anchors]})


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


def _say_next(opening: Opening, secret: Path) -> None:
    folder = study_folder(opening.study_id)
    say(f"opened {folder}: one page for each of {', '.join(opening.prereg.editors)}")
    say(f"secret: {secret} (keep a copy in a safe place; without it the ballots cannot be read)")
    say(
        f"next: git add {folder} {ballots_folder(opening.study_id)} && git commit, "
        "then send each editor their page"
    )


def establish(params: Params, opening: Opening) -> Path:
    """Write the secret, the study's folder and an empty one for its ballots; returns the secret's path."""
    key = draw_key(opening)
    path = write_secret(params, opening.study_id, opening.secret)
    try:
        write_study(opening, key)
    except BaseException:
        path.unlink()
        raise
    folder = ballots_folder(opening.study_id)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitkeep").touch()
    return path


def draw_key(opening: Opening) -> Key:
    """Draw every lot; StudyError where the design does not fit the prompts."""
    try:
        return make_key(opening.secret, opening.items, opening.prereg, study_id=opening.study_id)
    except ValueError as error:
        raise StudyError(f"the study cannot be laid out: {error}") from error


def write_study(opening: Opening, key: Key) -> Commitment:
    """Write `study/<id>/` in one step: pages, pre-registration, item table, commitment."""
    key_sha256 = sha256_hex(key_bytes(key))
    with replacing_folder(study_folder(opening.study_id)) as folder:
        write_text(folder / PREREG, render_prereg(opening.prereg))
        write_jsonl(folder / TABLE, make_table(opening.secret, opening.items))
        pages = {}
        for editor, slots in key.pages.items():
            html = render_editor_page(opening, editor, slots, key_sha256)
            write_text(folder / page_file(editor), html)
            pages[editor] = PageSeal(
                file=page_file(editor),
                sha256=sha256_hex(html.encode()),
                page_id=page_id(opening.secret, editor),
                slot_ids=[slot.slot_id for slot in slots],
            )
        commitment = seal(
            {
                "study_id": opening.study_id,
                "synthetic": opening.synthetic,
                "items_sha256": opening.items_sha256 or sha256_file(paths.BLIND_ITEMS),
                "generations_sha256": {
                    model: sha256_file(paths.generations(model))
                    for model in (() if opening.items_sha256 else ("base", "policy"))
                },
                "prereg_sha256": sha256_file(folder / PREREG),
                "table_sha256": sha256_file(folder / TABLE),
                "pages": pages,
                "key_sha256": key_sha256,
                "continues": opening.continues,
                "continues_sha256": continued_sha256(opening.continues),
            }
        )
        write_text(folder / COMMITMENT, commitment_bytes(commitment).decode())
    return commitment


def continued_sha256(study_id: str) -> str:
    """The hash of the first look's commitment; "" where this study continues none."""
    return sha256_file(study_folder(study_id) / COMMITMENT) if study_id else ""


def settle_prereg(params: Params, anchors: Sequence[Anchor]) -> Prereg:
    """What `study plan` wrote, if it did; StudyError where the parameters have moved since."""
    path, wanted = paths.STUDY / PREREG, name_anchors(prereg_from(params), anchors)
    written = read_bytes(path)
    if written is not None and parse_prereg(written) != wanted:
        raise StudyError(
            f"{path}: was written for other parameters than params.yaml has now\n"
            "  put params.yaml back, or run `bluepencil study plan` again and say in git why"
        )
    return wanted
