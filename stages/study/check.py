"""Does every file of a study still fit the seal? Each misfit is one sentence naming the file."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from stages.files.hashing import sha256_hex
from stages.files.json_text import parse_json
from stages.files.record import Record
from stages.study.ballots import Ballot, check_ballots
from stages.study.design import opaque_id
from stages.study.items import BlindItem
from stages.study.prereg import Prereg
from stages.study.seal import (
    Commitment,
    Key,
    Reveal,
    TableRow,
    commitment_bytes,
    draw_key_pages,
    page_id,
    seal_sha256,
)

Row = TypeVar("Row", bound=Record)


class StudyFiles(NamedTuple):
    """The bytes of one study; None where a file is not there."""

    study_id: str  # the folder's name
    commitment: bytes | None
    prereg: bytes | None
    table: bytes | None
    pages: Mapping[str, bytes]  # file name -> bytes
    key: bytes | None
    reveal: bytes | None
    ballots: Mapping[str, bytes]
    receipts: Mapping[str, str]  # file name -> SHA-256 that the editor reported
    items: bytes | None
    generations: Mapping[str, bytes]  # base, policy
    parsed_prereg: Prereg | None
    first_look: "StudyFiles | None" = None  # the study that this one continues
    crlf: tuple[str, ...] = ()  # files on disk whose line ends are CRLF; the bytes above have LF


class Study(NamedTuple):
    """A study whose files were read; `problems` is empty where all of them fit."""

    problems: list[str]
    commitment: Commitment | None
    table: list[TableRow]
    key: Key | None
    ballots: dict[str, Ballot]  # editor -> sound, complete ballot
    first_look: "Study | None" = None


def check_study(files: StudyFiles) -> Study:
    """Read and check everything. Missing ballots are no problem; what is there must fit."""
    commitment, problems = _check_commitment(files)
    if commitment is None:
        return Study(problems, None, [], None, {})
    problems += _check_opened(files, commitment)
    table = _rows(files.table, TableRow) if files.table else []
    handed_in = check_ballots(files.ballots, files.receipts, commitment)
    problems += handed_in.problems
    key = None
    if files.key is not None:
        key, key_problems = _check_key(files, commitment, table)
        problems += key_problems
        problems += _check_reveal(files)
    first_look = check_study(files.first_look) if files.first_look else None
    if commitment.continues:
        problems += _check_first_look(files, commitment, table, first_look)
    return Study(problems, commitment, table, key, handed_in.ballots, first_look)


def _check_first_look(
    files: StudyFiles, commitment: Commitment, table: Sequence[TableRow], first: Study | None
) -> list[str]:
    """The study of the first look must be sound, complete, revealed, of two looks, and of other prompts."""
    place = f"first look, study {commitment.continues}"
    if first is None or first.commitment is None or files.first_look is None:
        return [f"{place}: is missing; restore it from git"]
    problems = [f"{place}: {problem}" for problem in first.problems]
    if sha256_hex(files.first_look.commitment or b"") != commitment.continues_sha256:
        problems.append(f"{place}: is not the one that this study was opened to continue")
    problems += [f"{place}: {problem}" for problem in continuation_problems(files.first_look, first)]
    if files.parsed_prereg != files.first_look.parsed_prereg:
        problems.append(f"{place}: was pre-registered otherwise than this one")
    shared = {row.prompt_sha256 for row in first.table} & {row.prompt_sha256 for row in table}
    if shared:
        problems.append(f"{place}: shares {len(shared)} prompts with this one; both looks need fresh prompts")
    return problems


def continuation_problems(files: StudyFiles, study: Study) -> list[str]:
    """Each reason why a study cannot be the first of two looks."""
    problems = []
    if files.parsed_prereg is None or files.parsed_prereg.looks != 2:
        problems.append("was pre-registered for one look")
    if study.commitment and study.commitment.continues:
        problems.append("is a second look itself; there is no third")
    if study.commitment and set(study.ballots) != set(study.commitment.pages):
        problems.append("has ballots missing")
    if study.key is None:
        problems.append("is not revealed")
    return problems


def _check_commitment(files: StudyFiles) -> tuple[Commitment | None, list[str]]:
    place = "commitment.json"
    if files.commitment is None:
        return None, [f"{place}: is missing; restore it from git"]
    try:
        commitment = Commitment.model_validate(parse_json(files.commitment.decode()))
    except ValueError as error:
        return None, [f"{place}: is not readable as a commitment ({_short(error)}); restore it from git"]
    problems = []
    if commitment.seal_sha256 != seal_sha256(commitment):
        problems.append(f"{place}: was changed after sealing: its own hash does not fit; restore it from git")
    elif commitment_bytes(commitment) != files.commitment:
        problems.append(f"{place}: was saved again by another program; restore it from git")
    if commitment.study_id != files.study_id:
        problems.append(f"{place}: belongs to study {commitment.study_id}, its folder is {files.study_id}")
    return commitment, problems


def _check_opened(files: StudyFiles, commitment: Commitment) -> list[str]:
    """Files that must never change once the study is open."""
    expected = [
        ("prereg.yaml", files.prereg, commitment.prereg_sha256),
        ("items.jsonl", files.table, commitment.table_sha256),
        *((page.file, files.pages.get(page.file), page.sha256) for page in commitment.pages.values()),
    ]
    problems = [problem for row in expected for problem in _differs(*row, missing_is_wrong=True)]
    known = {page.file for page in commitment.pages.values()}
    problems += [f"{file}: is no page of this study" for file in sorted(set(files.pages) - known)]
    problems += _differs(
        "data/blind/items.jsonl", files.items, commitment.items_sha256, missing_is_wrong=False
    )
    for model, sha256 in sorted(commitment.generations_sha256.items()):
        place = f"data/generate/{model}.jsonl"
        problems += _differs(place, files.generations.get(model), sha256, missing_is_wrong=False)
    return problems


def _differs(place: str, data: bytes | None, sha256: str, *, missing_is_wrong: bool) -> Iterator[str]:
    if data is None:
        if missing_is_wrong:
            yield f"{place}: is missing; restore it from git"
    elif sha256_hex(data) != sha256:
        yield f"{place}: differs from what was sealed (SHA-256 {sha256_hex(data)[:12]}, sealed {sha256[:12]})"


def _check_key(
    files: StudyFiles, commitment: Commitment, table: Sequence[TableRow]
) -> tuple[Key | None, list[str]]:
    place, data = "key.json", files.key or b""
    if sha256_hex(data) != commitment.key_sha256:
        return None, [f"{place}: is not the key that was sealed; nobody can tell who wrote which text"]
    try:
        key = Key.model_validate(parse_json(data.decode()))
    except ValueError as error:
        return None, [f"{place}: is not readable as a key ({_short(error)}), though it is what was sealed"]
    sealed = [(files.table, commitment.table_sha256), (files.prereg, commitment.prereg_sha256)]
    if files.parsed_prereg is None or any(sha256_hex(file or b"") != sha256 for file, sha256 in sealed):
        return key, []  # said already; the key cannot be checked against files that were changed
    try:
        misfits_found = list(_key_misfits(files, key, commitment, table, files.parsed_prereg))
    except ValueError as error:  # a secret that is no hex, a design that no page can have
        misfits_found = [f"no page can be drawn from it ({error})"]
    return key, [f"{place}: {problem}" for problem in misfits_found]


def _key_misfits(
    files: StudyFiles, key: Key, commitment: Commitment, table: Sequence[TableRow], prereg: Prereg
) -> Iterator[str]:
    secret = bytes.fromhex(key.secret)
    shown = [row.prompt_id for row in table if row.status == "shown"]
    if key.study_id != commitment.study_id:
        yield f"belongs to study {key.study_id}"
    if key.pages != draw_key_pages(secret, shown, prereg):
        yield "its sides and orders are not those that its secret draws"
    for editor, page in commitment.pages.items():
        if [slot.slot_id for slot in key.pages.get(editor, [])] != page.slot_ids:
            yield f"its screens are not those on {editor}'s page"
        if page.page_id != page_id(secret, editor):
            yield f"{editor}'s page was not made under its secret"
    texts = {row.item_id: row.text_sha256s for row in table}
    if any(key.policy_sha256.get(row.item_id) not in row.text_sha256s for row in table) or len(texts) != len(
        key.policy_sha256
    ):
        yield "its texts are not those of the item table"
    if files.items is not None and sha256_hex(files.items) == commitment.items_sha256:
        for item in _rows(files.items, BlindItem):
            item_id = opaque_id(secret, "item", item.prompt_id)
            if key.policy_sha256.get(item_id) != sha256_hex(item.policy_completion.encode()):
                yield f"it takes the wrong text of prompt {item.prompt_id} for the policy's"


def _check_reveal(files: StudyFiles) -> list[str]:
    place = "reveal.json"
    if files.reveal is None:
        return [f"{place}: is missing beside the revealed key; restore it from git"]
    try:
        reveal = Reveal.model_validate(parse_json(files.reveal.decode()))
    except ValueError as error:
        return [f"{place}: is not readable ({_short(error)}); restore it from git"]
    problems = []
    present = {name: sha256_hex(data) for name, data in files.ballots.items()}
    for name, sha256 in sorted(reveal.ballots_sha256.items()):
        if sha256 in present.values():  # under another name, if it was only renamed
            continue
        what = (
            "was changed after the key was revealed"
            if name in present
            else "was there when the key was revealed, and is gone"
        )
        problems.append(f"ballot {name}: {what}")
    for name, sha256 in sorted(present.items()):
        if name not in reveal.ballots_sha256 and sha256 not in reveal.ballots_sha256.values():
            problems.append(f"ballot {name}: came after the key was revealed, so it was not judged blind")
    return problems


def _rows(data: bytes, model: type[Row]) -> list[Row]:
    """The rows of a JSONL file; none where its bytes do not fit, which the hashes report."""
    try:
        return [model.model_validate(parse_json(line)) for line in data.decode().split("\n") if line.strip()]
    except ValueError:
        return []


def _short(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return str(error.errors(include_url=False)[0]["msg"])
    return str(error)
