"""Reward margins of scored pairs: the row, and how log-probs become a margin."""

import math
from collections.abc import Sequence
from typing import Literal

from stages.files.pairs import SplitPair
from stages.files.record import Record
from stages.logprobs.reference import ReferenceRow
from stages.model.rendered import RenderedPair, render_sha256

Part = Literal["holdout", "selection"]


class MarginRow(Record):
    """One scored pair. Log-probs are sums over completion tokens, in nats."""

    pair_id: str
    part: Part
    margin: float
    chosen_logp: float
    rejected_logp: float
    ref_chosen_logp: float
    ref_rejected_logp: float
    n_chosen_tokens: int
    n_rejected_tokens: int
    n_chosen_chars: int
    n_rejected_chars: int
    editor: str | None
    section: str | None
    component_id: str
    synthetic: bool
    split_sha256: str  # the split this pair was held out by
    render_sha256: str  # the token ids that were scored


def margin_row(
    pair: SplitPair,
    part: Part,
    base: ReferenceRow,
    chosen_logps: Sequence[float],
    rejected_logps: Sequence[float],
    *,
    beta: float,
    split_sha256: str,
) -> MarginRow:
    """Put a pair, its base row and the policy's per-token log-probs together."""
    logps = {
        "chosen_logp": math.fsum(chosen_logps),
        "rejected_logp": math.fsum(rejected_logps),
        "ref_chosen_logp": math.fsum(base.chosen_logps),
        "ref_rejected_logp": math.fsum(base.rejected_logps),
    }
    return MarginRow(
        pair_id=pair.pair_id,
        part=part,
        margin=reward_margin(beta=beta, **logps),
        **logps,
        n_chosen_tokens=len(chosen_logps),
        n_rejected_tokens=len(rejected_logps),
        n_chosen_chars=len(pair.chosen),
        n_rejected_chars=len(pair.rejected),
        editor=pair.editor,
        section=pair.section,
        component_id=pair.component_id,
        synthetic=pair.synthetic,
        split_sha256=split_sha256,
        render_sha256=render_sha256(RenderedPair(*base[:4])),
    )


def reward_margin(
    *, beta: float, chosen_logp: float, rejected_logp: float, ref_chosen_logp: float, ref_rejected_logp: float
) -> float:
    """DPO's implicit reward of chosen minus that of rejected (Rafailov et al. 2023, section 4), in nats."""
    return beta * ((chosen_logp - ref_chosen_logp) - (rejected_logp - ref_rejected_logp))
