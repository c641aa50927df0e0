"""Every way in which a study's files can be tampered with is caught, each with its own message."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from stages.files.hashing import sha256_hex
from stages.files.json_text import canonical_json
from stages.study.ballots import Answer, content_sha256, write_ballot
from stages.study.check import StudyFiles, check_study
from stages.study.seal import (
    Commitment,
    PageSeal,
    Reveal,
    commitment_bytes,
    key_bytes,
    make_key,
    make_table,
    page_id,
    seal,
    study_id_of,
)
from tests.support.study_factory import make_item, make_prereg

SECRET = hashlib.sha256(b"verify").digest()
EDITORS = ["ann", "ben", "eve"]
PREREG = make_prereg(editors=EDITORS)


def jsonl(rows: Any) -> bytes:
    return "".join(canonical_json(row.model_dump(mode="json")) + "\n" for row in rows).encode()


def make_files(*, secret: bytes = SECRET, revealed: bool = True) -> StudyFiles:
    items = [make_item(f"p{number:02d}") for number in range(12)]
    items_file, table_file, prereg_file = jsonl(items), jsonl(make_table(secret, items)), b"prereg: fixed\n"
    study_id = study_id_of(items_file)
    generations = {"base": b"base rows\n", "policy": b"policy rows\n"}
    key = make_key(secret, items, PREREG, study_id=study_id)
    pages = {f"ballot-{editor}.html": f"<p>{editor}</p>".encode() for editor in EDITORS}
    commitment = seal(
        {
            "study_id": study_id,
            "synthetic": False,
            "items_sha256": sha256_hex(items_file),
            "generations_sha256": {model: sha256_hex(data) for model, data in generations.items()},
            "prereg_sha256": sha256_hex(prereg_file),
            "table_sha256": sha256_hex(table_file),
            "pages": {
                editor: PageSeal(
                    file=f"ballot-{editor}.html",
                    sha256=sha256_hex(pages[f"ballot-{editor}.html"]),
                    page_id=page_id(secret, editor),
                    slot_ids=[slot.slot_id for slot in key.pages[editor]],
                )
                for editor in EDITORS
            },
            "key_sha256": sha256_hex(key_bytes(key)),
        }
    )
    ballots = {f"{editor}.json": make_ballot(commitment, editor) for editor in EDITORS}
    reveal = Reveal(
        study_id=study_id,
        ballots_sha256={name: sha256_hex(data) for name, data in ballots.items()},
        missing_editors=[],
        reason="",
    )
    return StudyFiles(
        study_id=study_id,
        commitment=commitment_bytes(commitment),
        prereg=prereg_file,
        table=table_file,
        pages=pages,
        key=key_bytes(key) if revealed else None,
        reveal=jsonl([reveal]) if revealed else None,
        ballots=ballots,
        receipts={name: sha256_hex(data) for name, data in ballots.items()},
        items=items_file,
        generations=generations,
        parsed_prereg=PREREG,
    )


def make_ballot(commitment: Commitment, page_of: str, **changes: Any) -> bytes:
    page = commitment.pages[page_of]
    answers = [Answer(slot_id=i, choice="left", strength="", reasons=[], note="") for i in page.slot_ids]
    values = {
        "study_id": commitment.study_id,
        "page_id": page.page_id,
        "editor": page_of,
        "key_sha256": commitment.key_sha256,
        "synthetic": False,
        "answers": answers,
    }
    return write_ballot(**{**values, **changes})


def flip(data: bytes | None, at: int) -> bytes:
    assert data is not None
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def commitment_of(files: StudyFiles) -> Commitment:
    return Commitment.model_validate_json(files.commitment or b"")


def with_ballot(files: StudyFiles, name: str, data: bytes | None) -> StudyFiles:
    ballots = {key: value for key, value in files.ballots.items() if key != name}
    return files._replace(ballots=ballots if data is None else {**ballots, name: data})


def resealed(files: StudyFiles, **changes: Any) -> StudyFiles:
    """A commitment changed by somebody who also knows how to compute its own hash."""
    rest = commitment_of(files).model_dump(mode="json", exclude={"seal_sha256"})
    return files._replace(commitment=commitment_bytes(seal({**rest, **changes})))


def swap_key_sides(files: StudyFiles) -> StudyFiles:
    """A key with every side swapped, and a commitment made to fit it."""
    body = json.loads(files.key or b"")
    for slots in body["pages"].values():
        for slot in slots:
            slot["left"] = {"policy": "base", "base": "policy"}.get(slot["left"], slot["left"])
    data = (canonical_json(body) + "\n").encode()
    return resealed(files._replace(key=data), key_sha256=sha256_hex(data))


def swap_key_texts(files: StudyFiles) -> StudyFiles:
    """A key that takes the base's text for the policy's, and a commitment made to fit it."""
    body = json.loads(files.key or b"")
    table = [json.loads(line) for line in (files.table or b"").decode().splitlines()]
    for row in table:
        mine = body["policy_sha256"][row["item_id"]]
        (other,) = [text for text in row["text_sha256s"] if text != mine]
        body["policy_sha256"][row["item_id"]] = other
    data = (canonical_json(body) + "\n").encode()
    return resealed(files._replace(key=data), key_sha256=sha256_hex(data))


def edited_ballot(files: StudyFiles, *, checksum: bool) -> bytes:
    body = json.loads(files.ballots["ann.json"])
    body["answers"][0]["choice"] = "right"
    if checksum:
        body["content_sha256"] = content_sha256(body)
    return (canonical_json(body) + "\n").encode()


Tamper = Callable[[StudyFiles], StudyFiles]

CASES: dict[str, tuple[Tamper, str]] = {
    "commitment gone": (lambda f: f._replace(commitment=None), "commitment.json: is missing"),
    "commitment cut off": (
        lambda f: f._replace(commitment=(f.commitment or b"")[:-9]),
        "not readable as a commitment",
    ),
    "commitment hash changed": (
        lambda f: f._replace(
            commitment=(f.commitment or b"").replace(commitment_of(f).key_sha256.encode(), b"0" * 64)
        ),
        "commitment.json: was changed after sealing",
    ),
    "commitment spaced": (
        lambda f: f._replace(commitment=json.dumps(json.loads(f.commitment or b"")).encode()),
        "commitment.json: was saved again",
    ),
    "commitment of another study": (
        lambda f: f._replace(study_id="0" * 12),
        "its folder is 000000000000",
    ),
    "prereg changed": (
        lambda f: f._replace(prereg=flip(f.prereg, 3)),
        "prereg.yaml: differs from what was sealed",
    ),
    "prereg gone": (lambda f: f._replace(prereg=None), "prereg.yaml: is missing"),
    "table changed": (
        lambda f: f._replace(table=flip(f.table, 40)),
        "items.jsonl: differs from what was sealed",
    ),
    "table gone": (lambda f: f._replace(table=None), "items.jsonl: is missing"),
    "page changed": (
        lambda f: f._replace(pages={**f.pages, "ballot-ben.html": flip(f.pages["ballot-ben.html"], 4)}),
        "ballot-ben.html: differs from what was sealed",
    ),
    "page gone": (
        lambda f: f._replace(pages={k: v for k, v in f.pages.items() if k != "ballot-eve.html"}),
        "ballot-eve.html: is missing",
    ),
    "page added": (
        lambda f: f._replace(pages={**f.pages, "ballot-zoe.html": b"x"}),
        "ballot-zoe.html: is no page of this study",
    ),
    "pages swapped": (
        lambda f: f._replace(
            pages={
                **f.pages,
                "ballot-ann.html": f.pages["ballot-ben.html"],
                "ballot-ben.html": f.pages["ballot-ann.html"],
            }
        ),
        "ballot-ann.html: differs from what was sealed",
    ),
    "items changed": (lambda f: f._replace(items=flip(f.items, 50)), "data/blind/items.jsonl: differs"),
    "base generations changed": (
        lambda f: f._replace(generations={**f.generations, "base": b"other\n"}),
        "data/generate/base.jsonl: differs",
    ),
    "policy generations changed": (
        lambda f: f._replace(generations={**f.generations, "policy": b"other\n"}),
        "data/generate/policy.jsonl: differs",
    ),
    "key changed": (lambda f: f._replace(key=flip(f.key, 30)), "key.json: is not the key that was sealed"),
    "key of another secret": (
        lambda f: f._replace(key=make_files(secret=hashlib.sha256(b"x").digest()).key),
        "key.json: is not the key that was sealed",
    ),
    "sides swapped and resealed": (
        swap_key_sides,
        "its sides and orders are not those that its secret draws",
    ),
    "texts swapped and resealed": (swap_key_texts, "it takes the wrong text of prompt p00 for the policy's"),
    "reveal record gone": (lambda f: f._replace(reveal=None), "reveal.json: is missing"),
    "reveal record broken": (lambda f: f._replace(reveal=b"{"), "reveal.json: is not readable"),
    "ballot byte changed": (
        lambda f: with_ballot(f, "ann.json", flip(f.ballots["ann.json"], 30)),
        "ballot ann.json: ",
    ),
    "ballot cut off": (
        lambda f: with_ballot(f, "ann.json", f.ballots["ann.json"][:-30]),
        "ballot ann.json: is cut off or no JSON",
    ),
    "ballot edited by hand": (
        lambda f: with_ballot(f, "ann.json", edited_ballot(f, checksum=False)),
        "ballot ann.json: was changed after its export",
    ),
    "ballot edited with a new checksum": (
        lambda f: with_ballot(f, "ann.json", edited_ballot(f, checksum=True)),
        "ballot ann.json: differs from the receipt its editor sent",
    ),
    "ballot edited after the reveal": (
        lambda f: with_ballot(f, "ann.json", edited_ballot(f, checksum=True))._replace(receipts={}),
        "ballot ann.json: was changed after the key was revealed",
    ),
    "ballot removed after the reveal": (
        lambda f: with_ballot(f, "ann.json", None)._replace(receipts={}),
        "ballot ann.json: was there when the key was revealed, and is gone",
    ),
    "ballot gone, receipt kept": (
        lambda f: with_ballot(f, "ann.json", None)._replace(key=None, reveal=None),
        "ballot ann.json: has a receipt, and the file is gone",
    ),
    "ballot after the reveal": (
        lambda f: f._replace(
            reveal=jsonl(
                [Reveal(study_id=f.study_id, ballots_sha256={}, missing_editors=EDITORS, reason="x")]
            )
        ),
        "ballot ann.json: came after the key was revealed",
    ),
    "ballot twice": (
        lambda f: with_ballot(f, "ann (1).json", f.ballots["ann.json"]),
        "ann has handed in ann (1).json already",
    ),
    "ballot of another study": (
        lambda f: with_ballot(f, "ann.json", make_ballot(commitment_of(f), "ann", study_id="f" * 12)),
        "ballot ann.json: belongs to study ffffffffffff",
    ),
    "ballot by nobody": (
        lambda f: with_ballot(f, "ann.json", make_ballot(commitment_of(f), "ann", editor="zoe")),
        "ballot ann.json: is by zoe, who is no editor",
    ),
    "ballot made with another's page": (
        lambda f: with_ballot(f, "ann.json", make_ballot(commitment_of(f), "ben", editor="ann")),
        "ballot ann.json: was made with another page than ann's",
    ),
    "ballot under another seal": (
        lambda f: with_ballot(f, "ann.json", make_ballot(commitment_of(f), "ann", key_sha256="0" * 64)),
        "ballot ann.json: was made with a page under another seal",
    ),
    "ballot of a rehearsal": (
        lambda f: with_ballot(f, "ann.json", make_ballot(commitment_of(f), "ann", synthetic=True)),
        "ballot ann.json: is synthetic",
    ),
    "ballot incomplete": (
        lambda f: with_ballot(f, "ann.json", make_ballot(commitment_of(f), "ann", answers=[])),
        "ballot ann.json: lacks 15 of 15 answers",
    ),
    "stray file": (
        lambda f: with_ballot(f, "notes.txt", b"hello"),
        "ballot notes.txt: is cut off or no JSON",
    ),
}


def test_an_untouched_study_has_no_problem() -> None:
    for revealed in (True, False):
        study = check_study(make_files(revealed=revealed))
        assert study.problems == []
        assert set(study.ballots) == set(EDITORS)
        assert (study.key is not None) == revealed


@pytest.mark.parametrize("case", CASES)
def test_tampering_is_caught(case: str) -> None:
    tamper, message = CASES[case]
    problems = check_study(tamper(make_files())).problems
    assert any(message in problem for problem in problems), problems


@pytest.mark.parametrize("name", ["commitment", "prereg", "table", "key", "items"])
def test_any_single_changed_byte_is_caught(name: str) -> None:
    files = make_files()
    data = getattr(files, name)
    for at in range(0, len(data), 7):
        assert check_study(files._replace(**{name: flip(data, at)})).problems, f"byte {at} of {name}"


def test_a_missing_ballot_is_no_problem_before_the_reveal() -> None:
    files = make_files(revealed=False)
    study = check_study(with_ballot(files, "ann.json", None)._replace(receipts={}))
    assert study.problems == []
    assert set(study.ballots) == {"ben", "eve"}


@pytest.mark.parametrize("name", ["pages", "ballots", "generations"])
def test_any_single_changed_byte_of_any_file_is_caught(name: str) -> None:
    """A ballot's by its own checksum: nobody has reported a receipt, and nothing is revealed."""
    files = make_files(revealed=False)._replace(receipts={})
    for file, data in getattr(files, name).items():
        for at in range(0, len(data), 7):
            changed = {**getattr(files, name), file: flip(data, at)}
            problems = check_study(files._replace(**{name: changed})).problems
            assert any(file.partition(".")[0] in problem for problem in problems), f"byte {at} of {file}"


def test_there_are_enough_cases_each_with_its_own_message() -> None:
    messages = [message for _, message in CASES.values()]
    assert len(messages) >= 25
    assert len(set(messages)) >= 25
