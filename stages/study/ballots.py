"""What an editor hands in: the record, its one spelling in bytes, and whether it fits its page."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from stages.files.hashing import sha256_hex
from stages.files.json_text import canonical_json
from stages.files.record import Record, first_problem
from stages.study.seal import Commitment

BALLOT_FORMAT = "blue-pencil-ballot-1"


Choice = Literal["left", "tie", "right"]


Reason = Literal["clearer", "more convincing", "better tone", "closer to the task", "fewer errors"]


class Answer(Record):
    """One screen's judgement, by side as shown; strength, reasons and note are the editor's to give."""

    slot_id: str
    choice: Choice
    strength: Literal["", "slight", "clear"]
    reasons: list[Reason]
    note: str


class Ballot(Record):
    """One editor's answers, in the order of the page. `content_sha256` is over all the rest."""

    format: Literal["blue-pencil-ballot-1"]
    study_id: str
    page_id: str
    editor: str
    key_sha256: str
    synthetic: bool
    answers: list[Answer]
    content_sha256: str


class BrokenBallotError(ValueError):
    """The bytes are no ballot, or not the ones that were exported; the message says how."""


def content_sha256(body: dict[str, Any]) -> str:
    """Hex SHA-256 of a ballot without its own `content_sha256`."""
    rest = {name: value for name, value in body.items() if name != "content_sha256"}
    return sha256_hex(canonical_json(rest).encode())


def write_ballot(
    *, study_id: str, page_id: str, editor: str, key_sha256: str, synthetic: bool, answers: Sequence[Answer]
) -> bytes:
    """The bytes the page exports for these answers; the page's script spells them the same way."""
    body: dict[str, Any] = {
        "format": BALLOT_FORMAT,
        "study_id": study_id,
        "page_id": page_id,
        "editor": editor,
        "key_sha256": key_sha256,
        "synthetic": synthetic,
        "answers": [answer.model_dump(mode="json") for answer in answers],
    }
    body["content_sha256"] = content_sha256(body)
    return (canonical_json(body) + "\n").encode()


def read_ballot(data: bytes) -> Ballot:
    """Parse a handed-in file; BrokenBallotError unless it is, byte for byte, what a page exports."""
    try:
        body = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BrokenBallotError(f"is not UTF-8 text ({error.reason} at byte {error.start})") from error
    except (ValueError, RecursionError) as error:
        raise BrokenBallotError("is cut off or no JSON") from error
    if not isinstance(body, dict):
        raise BrokenBallotError("is JSON, but no ballot")
    try:
        ballot = Ballot.model_validate(body)
    except ValidationError as error:
        raise BrokenBallotError(f"does not fit the ballot format: {first_problem(error)}") from error
    if ballot.content_sha256 != content_sha256(body):
        raise BrokenBallotError("was changed after its export: its checksum does not fit its answers")
    if (canonical_json(body) + "\n").encode() != data:
        raise BrokenBallotError("was saved again by another program: its bytes are not those of an export")
    return ballot


def misfits(
    ballot: Ballot, *, study_id: str, page_ids: dict[str, str], key_sha256: str, synthetic: bool
) -> Iterator[str]:
    """Each way in which a sound ballot belongs to another study, editor, page, seal or kind."""
    if ballot.study_id != study_id:
        yield f"belongs to study {ballot.study_id}, not {study_id}"
        return
    if ballot.editor not in page_ids:
        yield f"is by {ballot.editor}, who is no editor of this study ({', '.join(sorted(page_ids))})"
    elif ballot.page_id != page_ids[ballot.editor]:
        yield f"was made with another page than {ballot.editor}'s"
    if ballot.key_sha256 != key_sha256:
        yield "was made with a page under another seal"
    if ballot.synthetic and not synthetic:
        yield "is synthetic; a rehearsal's ballots never count in a real study"


def unanswered(ballot: Ballot, slot_ids: Sequence[str]) -> Iterator[str]:
    """Each way in which the answers are not exactly one per screen, in the page's order."""
    given = [answer.slot_id for answer in ballot.answers]
    if given == list(slot_ids):
        return
    missing, foreign = [i for i in slot_ids if i not in given], [i for i in given if i not in slot_ids]
    if missing:
        yield f"lacks {len(missing)} of {len(slot_ids)} answers"
    if foreign:
        yield f"answers {len(foreign)} screens that are not on the page"
    if len(set(given)) != len(given):
        yield f"answers {len(given) - len(set(given))} screens twice"
    if not missing and not foreign and len(set(given)) == len(given):
        yield "has its answers in another order than the page"


class HandedIn(NamedTuple):
    """Sound, complete ballots by editor, and what is wrong with the rest."""

    ballots: dict[str, Ballot]
    problems: list[str]


def check_ballots(
    files: Mapping[str, bytes], receipts: Mapping[str, str], commitment: Commitment
) -> HandedIn:
    """Read every ballot file and compare it with its page, its seal and its receipt."""
    found: dict[str, str] = {}
    ballots: dict[str, Ballot] = {}
    problems = []
    for name, data in sorted(files.items()):
        try:
            ballot = read_ballot(data)
        except BrokenBallotError as error:
            problems.append(f"ballot {name}: {error}; ask the editor to export it again")
            continue
        wrong = [f"ballot {name}: {problem}" for problem in _ballot_problems(ballot, commitment)]
        if ballot.editor in found:
            wrong.append(
                f"ballot {name}: {ballot.editor} has handed in {found[ballot.editor]} already; keep one"
            )
        found[ballot.editor] = name
        problems += wrong
        if not wrong:
            ballots[ballot.editor] = ballot
    for name, receipt in sorted(receipts.items()):
        if name in files and sha256_hex(files[name]) != receipt:
            problems.append(f"ballot {name}: differs from the receipt its editor sent ({receipt[:12]})")
        elif receipt not in map(sha256_hex, files.values()):  # a ballot that was only renamed is there
            problems.append(f"ballot {name}: has a receipt, and the file is gone")
    return HandedIn(ballots, problems)


def _ballot_problems(ballot: Ballot, commitment: Commitment) -> Iterator[str]:
    wrong = list(
        misfits(
            ballot,
            study_id=commitment.study_id,
            page_ids={editor: page.page_id for editor, page in commitment.pages.items()},
            key_sha256=commitment.key_sha256,
            synthetic=commitment.synthetic,
        )
    )
    yield from wrong
    if not wrong:
        yield from unanswered(ballot, commitment.pages[ballot.editor].slot_ids)
