"""A revealed study as preference pairs: one row a vote, both texts as the editor saw them.

Void and identical prompts, repeats and anchors are left out: they are no votes on the two models' texts.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from stages.study.ballots import Choice
from stages.study.check import Study, StudyFiles
from stages.study.secret import screens_of

PREFERRED: dict[Choice, str] = {"left": "a", "right": "b", "tie": "tie"}


class Vote(NamedTuple):
    """One editor on one prompt's two texts, by side as shown."""

    prompt_id: str
    editor: str
    prompt: str
    left: str
    right: str
    choice: Choice
    synthetic: bool


def source_of(study_id: str) -> str:
    """What `source` says of a row that comes from this study."""
    return f"study/{study_id}"


def read_votes(files: StudyFiles, study: Study) -> list[Vote]:
    """The votes of a revealed study whose files fit, in the order of prompts and editors.

    The texts are those of the sealed pages, so the models' completions may be gone.
    """
    if study.commitment is None or study.key is None:
        raise AssertionError("only a revealed study whose files fit has votes")
    table = {row.item_id: row for row in study.table}
    found = []
    for editor, ballot in study.ballots.items():
        page = files.pages[study.commitment.pages[editor].file]
        screens = {screen["slot_id"]: screen for screen in screens_of(page)}
        for slot, answer in zip(study.key.pages[editor], ballot.answers, strict=True):
            if slot.kind != "item":
                continue
            row, screen = table[slot.item_id], screens[slot.slot_id]
            synthetic = row.synthetic or ballot.synthetic or study.commitment.synthetic
            texts = (screen["prompt"], screen["left"], screen["right"])
            found.append(Vote(row.prompt_id, editor, *texts, answer.choice, synthetic))
    return sorted(found, key=lambda vote: (vote.prompt_id, vote.editor))


def harvest_rows(
    votes: Sequence[Vote], study_id: str, *, reviewed_at: str | None, as_editors_form: bool
) -> list[dict[str, Any]]:
    """The votes as rows of a file of pairs; a tie has no row where the file says `chosen` and `rejected`."""
    rows = []
    for vote in votes:
        if vote.choice == "tie" and not as_editors_form:
            continue
        of_prompt = f"{study_id}/{vote.prompt_id}"
        sides: dict[str, str] = {
            "paragraph_a": vote.left, "paragraph_b": vote.right, "preferred": PREFERRED[vote.choice],
        }  # fmt: skip
        if not as_editors_form:
            chosen, rejected = (vote.left, vote.right)[:: 1 if vote.choice == "left" else -1]
            sides = {"chosen": chosen, "rejected": rejected, "chosen_shown": vote.choice}
        rows.append({
            "pair_id": f"{of_prompt}/{vote.editor}", "prompt": vote.prompt, **sides, "editor": vote.editor,
            "group_id": of_prompt, "source": source_of(study_id), "synthetic": vote.synthetic,
            **({"reviewed_at": reviewed_at} if reviewed_at else {}),
        })  # fmt: skip
    return rows
