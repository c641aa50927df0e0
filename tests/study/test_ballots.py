import json

import pytest

from stages.study.ballots import (
    Answer,
    Ballot,
    BrokenBallotError,
    misfits,
    read_ballot,
    unanswered,
    write_ballot,
)


def make_answers(slots: str = "abc") -> list[Answer]:
    return [Answer(slot_id=slot, choice="left", strength="", reasons=[], note="") for slot in slots]


def make_ballot(**changes) -> bytes:
    values = {
        "study_id": "0123456789ab",
        "page_id": "page-1",
        "editor": "editor-1",
        "key_sha256": "f" * 64,
        "synthetic": False,
        "answers": make_answers(),
    }
    return write_ballot(**{**values, **changes})


def problems(ballot: Ballot, **changes) -> list[str]:
    values = {
        "study_id": "0123456789ab",
        "page_ids": {"editor-1": "page-1", "editor-2": "page-2"},
        "key_sha256": "f" * 64,
        "synthetic": False,
    }
    return list(misfits(ballot, **{**values, **changes}))


def test_what_is_written_is_read_back() -> None:
    answer = Answer(
        slot_id="a", choice="tie", strength="clear", reasons=["clearer"], note='Ünïcode "quoted"\n\t<b>\u202e'
    )
    ballot = read_ballot(make_ballot(answers=[answer]))
    assert ballot.answers == [answer]
    assert problems(ballot) == []


def test_any_changed_byte_is_noticed() -> None:
    data = make_ballot()
    for position in range(len(data)):
        for other in (data[position] ^ 1, data[position] ^ 32):
            with pytest.raises(BrokenBallotError):
                read_ballot(data[:position] + bytes([other]) + data[position + 1 :])


def test_any_truncation_is_noticed() -> None:
    data = make_ballot()
    for n in range(len(data)):
        with pytest.raises(BrokenBallotError):
            read_ballot(data[:n])


def test_a_ballot_edited_by_hand_says_so() -> None:
    body = json.loads(make_ballot())
    body["answers"][0]["choice"] = "right"
    with pytest.raises(BrokenBallotError, match="changed after its export"):
        read_ballot(json.dumps(body).encode())


def test_a_ballot_saved_again_by_another_program_says_so() -> None:
    with pytest.raises(BrokenBallotError, match="saved again by another program"):
        read_ballot(json.dumps(json.loads(make_ballot()), indent=2).encode())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cut off or no JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[1]", "JSON, but no ballot"),
        (b"{}", "does not fit the ballot format"),
        (b"[" * 100_000, "cut off or no JSON"),
    ],
)
def test_other_files_are_no_ballots(data: bytes, message: str) -> None:
    with pytest.raises(BrokenBallotError, match=message):
        read_ballot(data)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"study_id": "ba9876543210"}, "belongs to study ba9876543210"),
        ({"editor": "somebody"}, "no editor of this study"),
        ({"editor": "editor-2"}, "another page than editor-2's"),
        ({"key_sha256": "e" * 64}, "another seal"),
        ({"synthetic": True}, "rehearsal's ballots never count"),
    ],
)
def test_a_ballot_of_another_study_editor_seal_or_kind_is_refused(changes, message) -> None:
    (problem,) = problems(read_ballot(make_ballot(**changes)))
    assert message in problem


@pytest.mark.parametrize(
    ("slots", "expected"),
    [
        ("abc", []),
        ("ab", ["lacks 1 of 3 answers"]),
        ("abcd", ["answers 1 screens that are not on the page"]),
        ("abca", ["answers 1 screens twice"]),
        ("acb", ["has its answers in another order than the page"]),
        ("", ["lacks 3 of 3 answers"]),
    ],
)
def test_answers_are_one_per_screen_in_order(slots: str, expected: list[str]) -> None:
    assert (
        list(unanswered(read_ballot(make_ballot(answers=make_answers(slots))), ["a", "b", "c"])) == expected
    )
