"""What an editor sent is recognised: a ballot to put where the pipeline reads it, or what to ask for."""

import io
import re
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from stages.errors import StudyError
from stages.files.hashing import sha256_hex
from stages.files.io import locked_folder, replacing, write_json
from stages.files.json_text import parse_json
from stages.run.progress import say
from stages.study.ballots import Ballot, BrokenBallotError, read_ballot
from stages.study.check import StudyFiles, check_study
from stages.study.folder import (
    COMMITMENT,
    KEY,
    RECEIPTS,
    ballots_folder,
    current_study_id,
    read_bytes,
    read_receipts,
    read_study,
    study_folder,
)
from stages.study.seal import STUDY_ID

EXPORT = "ask for the file `ballot-....json` that the page saves under “Seal and export”"
SIGNATURES = (
    (b"%PDF", f"is a PDF, perhaps the page printed; {EXPORT}"),
    (b"\x89PNG", f"is a picture; {EXPORT}"),
    (b"\xff\xd8\xff", f"is a picture; {EXPORT}"),
    (b"\x1f\x8b", "is compressed (gzip); unpack it, save what is inside and collect that"),
    (b"7z\xbc\xaf", "is an archive (7z); unpack it, save what is inside and collect that"),
    (b"Rar!", "is an archive (rar); unpack it, save what is inside and collect that"),
)
SHORT_RECEIPT = 20  # hex digits, 80 bits
N_MEMBERS_NAMED = 5


class Taken(NamedTuple):
    """Where a ballot lies, its hash, whose it is, and if line ends or a mark of encoding were put back."""

    target: Path
    sha256: str
    editor: str
    was_restored: bool


def collect_ballot(path: Path, *, receipt: str) -> None:
    """Put a ballot, in the bytes of its export, into its study; StudyError where it does not fit."""
    sent = read_bytes(path)
    if sent is None:
        raise StudyError(f"{path}: no such file, or none that can be read; name the one that the editor sent")
    taken = take_ballot(sent, place=str(path), receipt=receipt)
    changed = (
        " (its mark of encoding or line ends put back as they were exported)" if taken.was_restored else ""
    )
    said = (
        "receipt checked"
        if receipt
        else f"ask {taken.editor} for the receipt; it must be {taken.sha256[:SHORT_RECEIPT]}"
    )
    say(f"collected {taken.target}{changed}; {said}; next: git add {taken.target.parent} && git commit")


def take_ballot(sent: bytes, *, place: str, receipt: str, study_id: str = "", editor: str = "") -> Taken:
    """Check what was sent and store it with its receipt, if one is given; StudyError opened by `place`.

    `study_id` and `editor` are those that the sender was let in for; "" takes what the ballot says.
    """
    data = restore_export(sent)
    try:
        ballot = read_ballot(data)
    except BrokenBallotError as error:
        raise StudyError(f"{place}: {recognise(data) or f'{error}; {EXPORT} again'}") from error
    if editor and ballot.editor != editor:
        raise StudyError(f"{place}: is a ballot of {ballot.editor}, and this is the link of {editor}")
    if study_id and ballot.study_id != study_id:
        raise StudyError(f"{place}: belongs to study {ballot.study_id}, and this is the link of {study_id}")
    study_id = study_of(ballot)
    with locked_folder(study_folder(study_id)):  # a reveal waits for it, and it for a reveal
        return _store(
            data, ballot, read_study(study_id), place=place, receipt=receipt, was_restored=data != sent
        )


def _store(
    data: bytes, ballot: Ballot, files: StudyFiles, *, place: str, receipt: str, was_restored: bool
) -> Taken:
    if files.key is not None:
        raise StudyError(
            f"{study_folder(files.study_id) / KEY}: the key is revealed, so no further ballot "
            "counts; keep it elsewhere"
        )
    name = f"{ballot.editor}.json"
    refuse_misfit(place, files, name, data)
    if files.ballots.get(name, data) != data:
        raise StudyError(
            f"{ballots_folder(files.study_id) / name}: {ballot.editor} has sent another ballot of this "
            "study before, and a ballot is never replaced\n"
            "  ask which of the two was sealed first, and keep that one"
        )
    problem = receipt_problem(receipt, sha256_hex(data)) if receipt else ""
    if problem:
        raise StudyError(f"{place}: {problem}")
    target = ballots_folder(files.study_id) / name
    if files.ballots.get(name) != data:
        with replacing(target) as temporary:
            temporary.write_bytes(data)
    if receipt:
        write_json(target.parent / RECEIPTS, {**read_receipts(files.study_id), name: sha256_hex(data)})
    return Taken(target, sha256_hex(data), ballot.editor, was_restored)


def study_of(ballot: Ballot) -> str:
    """The study that the ballot names if it is open here, else that of the present texts, to refuse it."""
    is_open = STUDY_ID.fullmatch(ballot.study_id) and (study_folder(ballot.study_id) / COMMITMENT).is_file()
    return ballot.study_id if is_open and not ballot.synthetic else current_study_id()


def restore_export(sent: bytes) -> bytes:
    """The bytes as the page exported them, where a program changed no more than encoding and line ends."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if sent.startswith(mark):
            sent = sent.decode(encoding, errors="replace").encode()
    return sent.strip(b"\r\n ") + b"\n" if sent.lstrip().startswith(b"{") else sent


def recognise(data: bytes) -> str:
    """What was sent instead of a ballot and what to ask for; "" where it cannot be told."""
    if not data.strip():
        return f"is empty; {EXPORT}"
    for signature, words in SIGNATURES:
        if data.startswith(signature):
            return words
    if data.startswith(b"PK\x03\x04"):
        return _recognise_zip(data)
    head = data[:4000].lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return f"is the page itself, which holds no answers; {EXPORT}"
    if re.match(rb"(?:received|return-path|from|delivered-to|mime-version|subject):", head):
        return "is a whole mail message; save its attachment and collect that"
    if re.fullmatch(rb"[0-9a-f\s]{20,100}", head):
        return f"holds a receipt and no ballot; pass it as --receipt, and {EXPORT}"
    return _recognise_json(data)


def _recognise_zip(data: bytes) -> str:
    try:
        names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    except (zipfile.BadZipFile, ValueError, OSError):
        return f"is a zip archive that cannot be read; {EXPORT}"
    if any(name.startswith(("word/", "xl/", "content.xml")) for name in names):
        return f"is a document of an office program; {EXPORT}"
    shown = ", ".join(repr(name) for name in names[:N_MEMBERS_NAMED])
    return f"is a zip archive (inside: {shown}); unpack it and collect the ballot, `ballot-....json`"


def _recognise_json(data: bytes) -> str:
    try:
        value: Any = parse_json(data.decode())
    except ValueError:
        return ""
    if isinstance(value, dict) and value.get("format") == "blue-pencil-backup-1":
        answers = value.get("answers")
        n = len(answers) if isinstance(answers, (dict, list)) else 0
        return (
            f"is a backup of {n} answers, not a ballot; ask the editor to load it into the page, answer what "
            "is left, “Seal and export”, and send the file `ballot-....json`"
        )
    return ""


def receipt_problem(said: str, sha256: str) -> str:
    """Why what the editor wrote does not name this file; "" where it has its hash, or 20 digits of it.

    Words around it, spaces, dashes and capitals do not matter.
    """
    letters = re.sub(r"[^0-9a-z]", "", said.lower())
    start = letters.find(sha256[:SHORT_RECEIPT])
    rest = re.match(r"[0-9a-f]*", letters[start:]) if start >= 0 else None
    if rest and (sha256 in letters or len(rest.group()) < 2 * SHORT_RECEIPT):
        return ""
    runs: list[str] = re.findall(r"[0-9a-f]+", letters)
    longest = max(runs, key=len, default="")
    if len(longest) < SHORT_RECEIPT:
        return (
            f"the receipt {said!r:.80} is none: {SHORT_RECEIPT} letters and digits (0 to 9, a to f), or the "
            "64 of an older page, were expected; ask the editor for the receipt on the page's last screen"
        )
    return f"its SHA-256 is {sha256}, and the editor's receipt says {longest}; ask for both again"


def refuse_misfit(place: str, files: StudyFiles, name: str, data: bytes) -> None:
    """StudyError where the study would have a problem that it had not before."""
    alone = files._replace(ballots={}, receipts={})
    before = set(check_study(alone).problems)
    study = check_study(alone._replace(ballots={name: data}))
    new = [problem for problem in study.problems if problem not in before]
    if new:
        raise StudyError(f"{place}: does not fit\n  " + "\n  ".join(new))
