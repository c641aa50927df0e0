"""From sides as shown to models: what each editor said about the policy, once the key is revealed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stages.study.ballots import Answer, Ballot, Choice
from stages.study.design import Slot
from stages.study.seal import Key, TableRow
from stages.study.winrate import Outcome


class Judgement(NamedTuple):
    """One editor on one prompt. An identical pair was shown to nobody: `choice` is tie, `slot` None."""

    editor: str
    item_id: str
    outcome: Outcome
    choice: Choice
    slot: Slot | None


class Unblinded(NamedTuple):
    """All answers by what they were for. Only `judgements` are counted in the win rate."""

    judgements: list[Judgement]
    repeats: list[Judgement]
    anchors_noticed: dict[str, int]  # editor -> anchors on which the better text was chosen
    n_anchors: int  # per editor


def outcome_of(choice: Choice, slot: Slot) -> Outcome:
    """The policy's outcome on an item or repeat."""
    if choice == "tie":
        return "tie"
    return "win" if (choice == "left") == (slot.left == "policy") else "loss"


def unblind(ballots: Mapping[str, Ballot], key: Key, table: Sequence[TableRow]) -> Unblinded:
    """Read complete, checked ballots with the key; void prompts are in nothing that comes back."""
    judgements: list[Judgement] = []
    repeats: list[Judgement] = []
    noticed: dict[str, int] = {}
    identical = [row.item_id for row in table if row.status == "identical"]
    for editor, ballot in sorted(ballots.items()):
        screens = list(zip(key.pages[editor], ballot.answers, strict=True))
        judgements += [_judgement(editor, slot, answer) for slot, answer in screens if slot.kind == "item"]
        judgements += [Judgement(editor, item_id, "tie", "tie", None) for item_id in identical]
        repeats += [_judgement(editor, slot, answer) for slot, answer in screens if slot.kind == "repeat"]
        anchors = [(slot, answer) for slot, answer in screens if slot.kind == "anchor"]
        noticed[editor] = sum(
            answer.choice == ("left" if slot.left == "better" else "right") for slot, answer in anchors
        )
    n_anchors = sum(slot.kind == "anchor" for slot in next(iter(key.pages.values())))
    return Unblinded(judgements, repeats, noticed, n_anchors)


def _judgement(editor: str, slot: Slot, answer: Answer) -> Judgement:
    return Judgement(editor, slot.item_id, outcome_of(answer.choice, slot), answer.choice, slot)


def join(looks: Sequence[Unblinded]) -> Unblinded:
    """Both looks of a study as one; item ids differ, because each look has its own secret."""
    noticed: Counter[str] = Counter()
    for look in looks:
        noticed.update(look.anchors_noticed)
    return Unblinded(
        [judgement for look in looks for judgement in look.judgements],
        [repeat for look in looks for repeat in look.repeats],
        dict(noticed),
        sum(look.n_anchors for look in looks),
    )


def by_prompt(judgements: Sequence[Judgement], editors: Sequence[str]) -> dict[str, list[Outcome]]:
    """item id -> one outcome per editor, in the editors' order."""
    rows: dict[str, dict[str, Outcome]] = {}
    for judgement in judgements:
        rows.setdefault(judgement.item_id, {})[judgement.editor] = judgement.outcome
    return {item_id: [row[editor] for editor in editors] for item_id, row in sorted(rows.items())}
