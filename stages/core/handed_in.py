"""The ballots that came: read, matched with their pages and receipts, each misfit one sentence."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from stages.core.ballots import Ballot, BrokenBallotError, misfits, read_ballot, unanswered
from stages.core.seal import Commitment, sha256_hex


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
        elif name not in files:
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
