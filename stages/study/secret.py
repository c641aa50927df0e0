"""The custodian's secret: where it lies, and the key that it draws from the sealed files alone."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

from stages.errors import StudyError
from stages.files.hashing import sha256_hex
from stages.files.io import write_json, write_text
from stages.repository.git import would_be_tracked
from stages.run.params import Params
from stages.study.check import StudyFiles
from stages.study.design import SECRET_BYTES, Slot
from stages.study.folder import KEY, REVEAL, read_bytes, study_folder
from stages.study.seal import Commitment, Key, Reveal, TableRow, draw_key_pages, key_bytes

PAGE_DATA = re.compile(rb'<script type="application/json" id="ballot">(.*?)</script>', re.DOTALL)
MAX_UNKNOWN = 16  # texts that no page shows and whose side is found by trying: 2 ** 16 keys take a minute


def secret_file(params: Params, study_id: str) -> Path:
    """Where the secret of a study lies."""
    return Path(params.study.secret_path) / study_id


def refuse_secret_in_git(secret_path: Path) -> None:
    """StudyError where git would take the secret along with the next commit."""
    if would_be_tracked(secret_path / "secret"):
        raise StudyError(
            f"study.secret_path {secret_path}: git would track it; add it to .gitignore or name another"
        )


def write_secret(params: Params, study_id: str, secret: bytes) -> Path:
    """Write the secret for its owner's eyes alone; StudyError where one is there already."""
    path = secret_file(params, study_id)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise StudyError(
            f"{path}: there is a secret of this study, its folder {study_folder(study_id)} is gone\n"
            "  restore the folder from git; move the secret away and open again only if no page was sent"
        ) from error
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secret.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return path


def read_secret(path: Path) -> bytes:
    """The secret's bytes; StudyError where it is missing or is none."""
    data = read_bytes(path)
    if data is None:
        raise StudyError(
            f"{path}: the secret is not there; restore it from the custodian's copy "
            "(study.secret_path names the folder)\n"
            "  without it nobody can tell the sides, and a new study has to be opened"
        )
    try:
        secret = bytes.fromhex(data.decode("ascii").strip())
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise StudyError(
            f"{path}: is not the secret that was written ({SECRET_BYTES} bytes in hex); restore the copy"
        )
    return secret


def derive_key(path: Path, files: StudyFiles, commitment: Commitment, table: Sequence[TableRow]) -> Key:
    """Draw the key again from the secret at `path`; StudyError where it is not the one that was sealed.

    Nothing but sealed files is read, so a study goes on when the models' texts are there no more. Which
    text is the policy's stands on the pages, once the secret has drawn their sides.
    """
    secret = read_secret(path)
    shown = [row.prompt_id for row in table if row.status == "shown"]
    if files.parsed_prereg is not None and shown:
        pages = draw_key_pages(secret, shown, files.parsed_prereg)
        for policy_sha256 in policy_texts(pages, files.pages, table):
            key = Key(study_id=files.study_id, secret=secret.hex(), policy_sha256=policy_sha256, pages=pages)
            if sha256_hex(key_bytes(key)) == commitment.key_sha256:
                return key
    raise StudyError(f"{path}: this secret is not the one the study was sealed with; restore the right copy")


def policy_texts(
    pages: Mapping[str, Sequence[Slot]], html: Mapping[str, bytes], table: Sequence[TableRow]
) -> Iterator[dict[str, str]]:
    """Each way in which texts can be the policy's: item id -> hash. Void prompts are on no page, so open."""
    texts = {screen["slot_id"]: screen for page in html.values() for screen in screens_of(page)}
    known = {
        slot.item_id: sha256_hex(texts[slot.slot_id]["left" if slot.left == "policy" else "right"].encode())
        for slots in pages.values()
        for slot in slots
        if slot.kind == "item" and slot.slot_id in texts
    }
    known |= {row.item_id: row.text_sha256s[0] for row in table if row.status == "identical"}
    unknown = [row for row in table if row.item_id not in known]
    if len(unknown) <= MAX_UNKNOWN:
        for texts_taken in product(*(row.text_sha256s for row in unknown)):
            yield known | {row.item_id: text for row, text in zip(unknown, texts_taken, strict=True)}


def screens_of(page: bytes) -> list[dict[str, str]]:
    """What a ballot page shows, screen by screen; nothing where the bytes are no such page."""
    found = PAGE_DATA.search(page)
    try:
        return list(json.loads(found.group(1))["screens"]) if found else []
    except (ValueError, KeyError, TypeError):
        return []


def refuse_missing(missing: Sequence[str], reason: str) -> None:
    """Missing ballots stop the reveal unless a reason is given; with the key out, nobody judges blind."""
    if missing and not reason.strip():
        raise StudyError(
            f"ballots are missing: {', '.join(missing)}; after the reveal nobody judges blind\n"
            '  wait for them, or say why not: --despite-missing "..."'
        )


def record_reveal(files: StudyFiles, key: Key, missing: Sequence[str], reason: str) -> Path:
    """Write what was there first, then the key: with the key there, the record is, too."""
    folder = study_folder(files.study_id)
    record = Reveal(
        study_id=files.study_id,
        ballots_sha256={name: sha256_hex(data) for name, data in files.ballots.items()},
        missing_editors=list(missing),
        reason=reason.strip(),
    )
    write_json(folder / REVEAL, record)
    write_text(folder / KEY, key_bytes(key).decode())
    return folder / KEY
