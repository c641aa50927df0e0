"""Pairs are judged again, blind: the most doubtful, mixed with as many drawn at random from all.

It is a study of its own, with the study's page, seal, receipts and folders; the recorded label takes the
policy's place. Which pairs are doubtful and which label is recorded stand in a file beside the secret until
the reveal, and its hash stands in the commitment.

study/labels-<id>/               the study's files; after the reveal pairs.jsonl, result.json, votes.jsonl too
<secret_path>/labels-<id>.pairs  the sealed pairs, mode 0600, until then
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from stages.files.json_text import canonical_json
from stages.files.pairs import SplitPair
from stages.labelling.ranking import DoubtRow
from stages.run.params import Params
from stages.study.design import opaque_id, shuffled
from stages.study.items import BlindItem
from stages.study.prereg import Prereg
from stages.study.seal import LABELS, Opening, study_id_of
from stages.study.secret import secret_file

QUESTION: Final = "Do other editors agree with the recorded labels of pairs drawn at random?"
ESTIMATOR: Final = "share of votes of other editors that are the recorded one; Wilson interval with n_eff"


class RejudgedPair(SplitPair):
    """A pair that is judged again: why, and the split that its label was recorded in. It may be both."""

    doubt: float
    is_suspect: bool
    is_control: bool
    split_sha256: str


def choose_pairs(
    pairs: Sequence[SplitPair], ranking: Sequence[DoubtRow], *, n: int, secret: bytes, split_sha256: str
) -> list[RejudgedPair]:
    """The `n` most doubtful pairs and `n` drawn at random from all, by id; both may hold for one.

    `pairs` are those that may be shown, `ranking` has the most doubtful first.
    """
    of_id = {pair.pair_id: pair for pair in pairs}
    doubts = {row.pair_id: row.doubt for row in ranking if row.pair_id in of_id}
    suspects = set(list(doubts)[:n])
    controls = set(shuffled(secret, "controls", sorted(of_id))[:n])
    return [
        RejudgedPair(
            **dict(of_id[name]), doubt=doubts[name], is_suspect=name in suspects,
            is_control=name in controls, split_sha256=split_sha256,
        )
        for name in sorted(suspects | controls)
    ]  # fmt: skip


def pairs_bytes(pairs: Sequence[RejudgedPair]) -> bytes:
    """The bytes of pairs.jsonl, which the commitment's `items_sha256` is over."""
    return "".join(canonical_json(pair.model_dump(mode="json")) + "\n" for pair in pairs).encode()


def make_opening(pairs: Sequence[RejudgedPair], params: Params, *, secret: bytes, sha256: str) -> Opening:
    """The study of these pairs; `sha256` is that of their file."""
    items = [
        BlindItem(
            prompt_id=pair.pair_id, prompt=pair.prompt, base_completion=pair.rejected,
            policy_completion=pair.chosen, identical=False, tells=[], synthetic=pair.synthetic,
        )
        for pair in pairs
    ]  # fmt: skip
    prereg = Prereg(
        question=QUESTION, estimator=ESTIMATOR, n_prompts=len(items), editors=list(params.study.editors),
        n_repeats=0, min_repeat_distance=1, n_anchors=0, looks=1, max_void_prompts=0, min_share=0.5,
        chance=0.5,
    )  # fmt: skip
    study_id = LABELS + study_id_of(pairs_bytes(pairs))
    project = params.project
    return Opening(
        study_id, items, prereg, secret, synthetic=False, items_sha256=sha256, texts=project.texts,
        language=project.language, minutes=params.study.plan.minutes_per_screen,
    )  # fmt: skip


def sealed_pairs_file(params: Params, study_id: str) -> Path:
    """Where the pairs wait for the reveal."""
    return Path(f"{secret_file(params, study_id)}.pairs")


def item_ids(secret: bytes, pairs: Sequence[RejudgedPair]) -> dict[str, RejudgedPair]:
    """Each pair by its opaque id on the pages."""
    return {opaque_id(secret, "item", pair.pair_id): pair for pair in pairs}
