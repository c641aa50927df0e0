"""The files of a freshly opened study: secret, pages, item table, pre-registration, commitment."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from stages.errors import StudyError
from stages.files.hashing import sha256_hex
from stages.files.io import replacing_folder, sha256_file, write_jsonl, write_text
from stages.run import paths
from stages.run.params import Params
from stages.study.anchors import ANCHORS
from stages.study.ballot_page import Screen, render_ballot_page
from stages.study.design import Slot
from stages.study.folder import (
    COMMITMENT,
    PREREG,
    TABLE,
    ballots_folder,
    page_file,
    parse_prereg,
    read_bytes,
    render_prereg,
    study_folder,
)
from stages.study.items import BlindItem
from stages.study.lots import opaque_id
from stages.study.prereg import Prereg
from stages.study.seal import (
    Commitment,
    Key,
    PageSeal,
    commitment_bytes,
    design_of,
    key_bytes,
    make_key,
    make_table,
    page_id,
    seal,
)


class Opening(NamedTuple):
    """Everything an open study is made of."""

    study_id: str
    items: Sequence[BlindItem]
    prereg: Prereg
    secret: bytes
    synthetic: bool
    continues: str = ""  # the study of the first look


def establish(params: Params, opening: Opening) -> Path:
    """Write the secret, the study's folder and an empty one for its ballots; returns the secret's path."""
    key = draw_key(opening)
    path = write_secret(params, opening)
    try:
        write_study(opening, key)
    except BaseException:
        path.unlink()
        raise
    folder = ballots_folder(opening.study_id)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitkeep").touch()
    return path


def secret_file(params: Params, study_id: str) -> Path:
    """Where the secret of a study lies."""
    return Path(params.study.secret_path) / study_id


def write_secret(params: Params, opening: Opening) -> Path:
    """Write the secret for its owner's eyes alone; StudyError where one is there already."""
    path = secret_file(params, opening.study_id)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise StudyError(
            f"{path}: there is a secret of this study, its folder {study_folder(opening.study_id)} is gone\n"
            "  restore the folder from git; move the secret away and open again only if no page was sent"
        ) from error
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(opening.secret.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return path


def draw_key(opening: Opening) -> Key:
    """Draw every lot; StudyError where the design does not fit the prompts."""
    try:
        return make_key(opening.secret, opening.items, design_of(opening.prereg), study_id=opening.study_id)
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
                "items_sha256": sha256_file(paths.BLIND_ITEMS),
                "generations_sha256": {
                    model: sha256_file(paths.generations(model)) for model in ("base", "policy")
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


def render_editor_page(opening: Opening, editor: str, slots: Sequence[Slot], key_sha256: str) -> str:
    """One editor's page, screens in the order drawn."""
    texts = texts_by_item(opening)
    return render_ballot_page(
        [Screen(slot.slot_id, *_sides(texts[slot.item_id], slot)) for slot in slots],
        study_id=opening.study_id,
        page_id=page_id(opening.secret, editor),
        editor=editor,
        key_sha256=key_sha256,
        synthetic=opening.synthetic,
    )


def texts_by_item(opening: Opening) -> dict[str, Mapping[str, str]]:
    """item id -> prompt and both texts by what they are; anchors too."""
    texts: dict[str, Mapping[str, str]] = {
        opaque_id(opening.secret, "item", item.prompt_id): {
            "prompt": item.prompt,
            "policy": item.policy_completion,
            "base": item.base_completion,
        }
        for item in opening.items
    }
    anchors = {
        opaque_id(opening.secret, "anchor", anchor.name): {
            "prompt": anchor.prompt,
            "better": anchor.better,
            "worse": anchor.worse,
        }
        for anchor in ANCHORS
    }
    return texts | anchors


OPPOSITE = {"policy": "base", "base": "policy", "better": "worse", "worse": "better"}


def _sides(texts: Mapping[str, str], slot: Slot) -> tuple[str, str, str]:
    return texts["prompt"], texts[slot.left], texts[OPPOSITE[slot.left]]


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
