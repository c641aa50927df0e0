"""Judgements made elsewhere, as a table of sides shown and choices, turned into win-rate rows.

One row per editor and prompt: `prompt_id, editor, left, choice`, with `left` the model shown on the
left (policy or base) and `choice` the side chosen (left, right or tie). Optional: `policy_chars`,
`base_chars`. Nothing of this was sealed or counterbalanced by us, and the result says so.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from stages.core.prereg import Z_ONE_LOOK
from stages.core.record import Record
from stages.core.study_design import Slot
from stages.core.unblind import Judgement, Unblinded, by_prompt, outcome_of
from stages.core.winrate import estimate_winrate
from stages.core.winrate_secondary import secondary_metrics


class ImportedRow(Record):
    """One judgement made with another tool."""

    prompt_id: str
    editor: str
    left: Literal["policy", "base"]
    choice: Literal["left", "tie", "right"]
    policy_chars: int | None = None
    base_chars: int | None = None


def estimate_imported(rows: Sequence[ImportedRow], *, salt: str) -> dict[str, Any]:
    """Win rate of imported judgements. ValueError unless every editor judged every prompt once."""
    editors = sorted({row.editor for row in rows})
    prompts = sorted({row.prompt_id for row in rows})
    problems = _not_fully_crossed(rows, editors, prompts)
    if problems:
        raise ValueError("\n  ".join(["every editor must have judged every prompt once", *problems[:5]]))
    judgements = [_judgement(row) for row in rows]
    unblinded = Unblinded(judgements, [], {}, 0)
    outcomes = by_prompt(judgements, editors)
    rate = estimate_winrate(list(outcomes.values()), z=Z_ONE_LOOK)
    secondary = secondary_metrics(
        outcomes, unblinded, _relative_lengths(rows), editors=editors, z=Z_ONE_LOOK, salt=salt
    )
    return {**rate._asdict(), "n_editors": len(editors), "secondary": secondary}


def _judgement(row: ImportedRow) -> Judgement:
    slot = Slot(slot_id=f"{row.editor} {row.prompt_id}", item_id=row.prompt_id, kind="item", left=row.left)
    return Judgement(row.editor, row.prompt_id, outcome_of(row.choice, slot), row.choice, slot)


def _not_fully_crossed(
    rows: Sequence[ImportedRow], editors: Sequence[str], prompts: Sequence[str]
) -> list[str]:
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        counts[row.editor, row.prompt_id] = counts.get((row.editor, row.prompt_id), 0) + 1
    return [
        f"editor {editor}, prompt {prompt}: {counts.get((editor, prompt), 0)} judgements"
        for editor in editors
        for prompt in prompts
        if counts.get((editor, prompt), 0) != 1
    ]


def _relative_lengths(rows: Sequence[ImportedRow]) -> Mapping[str, float]:
    """prompt id -> (policy - base) characters over their mean; 0 where lengths are not given."""
    lengths = {}
    for row in rows:
        policy, base = row.policy_chars or 0, row.base_chars or 0
        lengths[row.prompt_id] = 2 * (policy - base) / (policy + base) if policy + base else 0.0
    return lengths
