"""The base's log-probs, per token and keyed by token ids, so that every variant can reuse them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stages.errors import RuntimeCheckError
from stages.model.rendered import RenderedPair

N_PAIRS_SHOWN = 5


class ReferenceRow(NamedTuple):
    """One pair under the base: token ids and the log-prob (nats) of each completion token."""

    pair_id: str
    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: list[int]
    chosen_logps: list[float]
    rejected_logps: list[float]


class PairSums(NamedTuple):
    """One number a completion, in nats."""

    chosen: float
    rejected: float


def match_reference(
    pairs: Sequence[RenderedPair], reference: Mapping[str, ReferenceRow]
) -> list[ReferenceRow]:
    """The reference row of each pair, after comparing every token id; RuntimeCheckError where one differs."""
    absent = [pair.pair_id for pair in pairs if pair.pair_id not in reference]
    stale = [
        pair.pair_id
        for pair in pairs
        if pair.pair_id not in absent and not _fits(pair, reference[pair.pair_id])
    ]
    for problem, ids in (
        ("has no row for", absent),
        ("has other tokens, or no log-prob for each token, for", stale),
    ):
        if ids:
            raise RuntimeCheckError(
                f"data/reference/logps.parquet {problem} {len(ids)} of {len(pairs)} pairs "
                f"({', '.join(ids[:N_PAIRS_SHOWN])}): it belongs to another split, tokenizer or template; "
                "run `dvc repro reference`"
            )
    return [reference[pair.pair_id] for pair in pairs]


def reference_sums(row: ReferenceRow, *, ld_alpha: float | None) -> PairSums:
    """Sums over completion tokens; with `ld_alpha`, tokens beyond the shorter length weigh that much.

    LD-DPO (Liu et al. 2024), as TRL computes it for the policy.
    """
    if ld_alpha is None:
        return PairSums(sum(row.chosen_logps), sum(row.rejected_logps))
    shared = min(len(row.chosen_logps), len(row.rejected_logps))
    return PairSums(
        *(
            sum(logps[:shared]) + ld_alpha * sum(logps[shared:])
            for logps in (row.chosen_logps, row.rejected_logps)
        )
    )


def _fits(pair: RenderedPair, row: ReferenceRow) -> bool:
    same_tokens = tuple(map(list, row[1:4])) == (pair.prompt_ids, pair.chosen_ids, pair.rejected_ids)
    return same_tokens and (len(row.chosen_logps), len(row.rejected_logps)) == (
        len(pair.chosen_ids),
        len(pair.rejected_ids),
    )
