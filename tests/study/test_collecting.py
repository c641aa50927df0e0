"""What editors send back: the ballot under any name, or an answer that says what to ask for."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.errors import StudyError
from stages.files.hashing import sha256_hex
from stages.study.collecting import collect_ballot, receipt_problem
from stages.study.folder import ballots_folder, page_file, read_receipts, study_folder
from stages.study.opening import open_study
from tests.support.study_factory import answer_page, make_world, prefers

BACKUP = b'{"answers":{"a":{"choice":"left"}},"format":"blue-pencil-backup-1","page_id":"x","sealed":false}\n'


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    study_id = make_world(tmp_path, monkeypatch, n_prompts=8, study={"min_repeat_distance": 3})
    open_study(continues="")
    return study_id


def exported(study_id: str) -> bytes:
    return answer_page(study_folder(study_id) / page_file("editor-1"), prefers("POLICYTEXT"))


def zipped(data: bytes, name: str = "ballot.json") -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        file.writestr(name, data)
    return target.getvalue()


AS_SENT: dict[str, Callable[[bytes], bytes]] = {
    "ballot.json": lambda data: data,
    "ballot-editor-1.json.txt": lambda data: data,
    "with a mark.json": lambda data: b"\xef\xbb\xbf" + data,
    "utf-16.json": lambda data: data.decode().encode("utf-16"),
    "line end.json": lambda data: data.replace(b"\n", b"\r\n"),
    "no line end.json": lambda data: data.rstrip(b"\n"),
}


@pytest.mark.parametrize("name", AS_SENT)
def test_a_ballot_is_stored_in_the_bytes_of_its_export(opened: str, name: str) -> None:
    data = exported(opened)
    Path(name).write_bytes(AS_SENT[name](data))
    collect_ballot(Path(name), receipt=sha256_hex(data))
    assert (ballots_folder(opened) / "editor-1.json").read_bytes() == data
    assert read_receipts(opened) == {"editor-1.json": sha256_hex(data)}


INSTEAD: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "the page": (lambda _: b"<!doctype html>\n<html lang=en>", "is the page itself, which holds no answers"),
    "a backup": (lambda _: BACKUP, "is a backup of 1 answers, not a ballot; ask the editor to load it"),
    "a backup with a mark": (lambda _: b"\xef\xbb\xbf" + BACKUP, "is a backup of 1 answers"),
    "a zip": (zipped, "is a zip archive (inside: 'ballot.json'); unpack it"),
    "a zip with an odd name": (lambda data: zipped(data, "\x1b[2J../x"), r"inside: '\x1b[2J../x'"),
    "a broken zip": (lambda data: zipped(data)[:40], "is a zip archive that cannot be read"),
    "a letter": (lambda data: zipped(data, "word/document.xml"), "is a document of an office program"),
    "a PDF": (lambda _: b"%PDF-1.7 ...", "is a PDF, perhaps the page printed"),
    "a picture": (lambda _: b"\x89PNG\r\n\x1a\n", "is a picture"),
    "a gzip": (lambda _: b"\x1f\x8b\x08\x00", "is compressed (gzip)"),
    "a mail": (lambda data: b"From: editor@example.org\r\n\r\n" + data, "is a whole mail message"),
    "the receipt": (lambda data: sha256_hex(data).encode(), "holds a receipt and no ballot"),
    "nothing": (lambda _: b"", "is empty; ask for the file"),
    "half a ballot": (lambda data: data[:100], "is cut off or no JSON; ask for the file"),
    "saved again": (
        lambda data: json.dumps(json.loads(data), indent=2).encode(),
        "was saved again by another",
    ),
    "edited": (lambda data: data.replace(b'"left"', b'"tie"', 1), "was changed after its export"),
}


@pytest.mark.parametrize("what", INSTEAD)
def test_anything_else_is_recognised_and_nothing_is_stored(opened: str, what: str) -> None:
    make, message = INSTEAD[what]
    Path("sent").write_bytes(make(exported(opened)))
    with pytest.raises(StudyError) as error:
        collect_ballot(Path("sent"), receipt="")
    assert message in str(error.value)
    assert [path.name for path in ballots_folder(opened).iterdir()] == [".gitkeep"]


SHA = sha256_hex(b"a ballot")
SAID = {
    "as it is": SHA,
    "in groups": " ".join(SHA[at : at + 8] for at in range(0, 64, 8)),
    "with dashes and in capitals": "-".join(SHA[at : at + 4] for at in range(0, 64, 4)).upper(),
    "with words": f"Dear all, the receipt is: {SHA}.\nBest, Eve",
    "over two lines": f"{SHA[:32]}\n  {SHA[32:]}",
    "short": SHA[:20],
    "short, in words": f"it begins with {SHA[:5]} {SHA[5:10]} {SHA[10:15]} {SHA[15:20]}, and so on",
}


@pytest.mark.parametrize("said", SAID.values(), ids=SAID.keys())
def test_a_receipt_may_be_pasted_as_it_came(said: str) -> None:
    assert receipt_problem(said, SHA) == ""


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("f" * 64, "and the editor's receipt says ffff"),
        (SHA[:63] + ("0" if SHA[63] != "0" else "1"), "and the editor's receipt says"),
        (SHA[:19], "is none: 20 letters and digits"),
        ("I have sent it", "is none: 20 letters and digits"),
    ],
)
def test_a_wrong_receipt_is_none(said: str, message: str) -> None:
    assert message in receipt_problem(said, SHA)


def test_a_ballot_of_another_study_is_called_that_even_where_one_is_in(
    opened: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("sent.json").write_bytes(exported(opened))
    collect_ballot(Path("sent.json"), receipt="")
    (tmp_path / "other").mkdir()
    other = make_world(tmp_path / "other", monkeypatch, n_prompts=9, study={"min_repeat_distance": 3})
    open_study(continues="")
    Path("sent.json").write_bytes(exported(other))
    collect_ballot(Path("sent.json"), receipt="")
    Path("foreign.json").write_bytes((tmp_path / "sent.json").read_bytes())
    with pytest.raises(StudyError, match=f"belongs to study {opened}, not {other}"):
        collect_ballot(Path("foreign.json"), receipt="")
