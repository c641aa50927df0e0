"""Per-token log-probs of both completions of every pair, without gradients."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from stages.errors import RuntimeCheckError
from stages.model.rendered import RenderedPair, similar_length_batches
from stages.run.processes import deal, gather
from stages.run.progress import track

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class PairLogps(NamedTuple):
    """Log-probs in nats of each completion token, given all before it."""

    chosen: list[float]
    rejected: list[float]


def prepare_for_scoring(model: "PreTrainedModel") -> None:
    """Patch a base or adapter model so that it answers TRL's fused call for log-probs, fast."""
    from trl.trainer.utils import add_fused_lm_head

    from stages.logprobs.fast.make_fast import make_fast

    outputs = ("log_probs",)
    add_fused_lm_head(model.get_base_model() if hasattr(model, "peft_config") else model, outputs=outputs)
    make_fast(model, outputs=outputs)


def score_pairs(
    model: "PreTrainedModel", pairs: Sequence[RenderedPair], *, pad_token_id: int, batch_size: int, label: str
) -> dict[str, PairLogps]:
    """Score all pairs, by pair id; a non-finite log-prob is a RuntimeCheckError that names its pair."""
    scored: dict[str, PairLogps] = {}
    batches = deal(list(similar_length_batches(pairs, batch_size=batch_size)))
    for batch in track(batches, total=len(batches), label=label, unit="batches"):
        scored.update(score_batch(model, batch, pad_token_id=pad_token_id))
    return gather(scored)


def score_batch(
    model: "PreTrainedModel", batch: Sequence[RenderedPair], *, pad_token_id: int
) -> dict[str, PairLogps]:
    """Score one batch in one forward pass."""
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    inputs = DataCollatorForPreference(pad_token_id=pad_token_id)([pair._asdict() for pair in batch])
    inputs = {name: value.to(model.device) for name, value in inputs.items()}
    labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100)
    with torch.inference_mode():
        log_probs = model(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            labels=labels,
            use_cache=False,
            fused_lm_head=True,
        ).log_probs.float()
    scored = {}
    for number, pair in enumerate(batch):
        start = len(pair.prompt_ids) - 1  # log_probs[:, t] belongs to token t + 1
        chosen = log_probs[number, start : start + len(pair.chosen_ids)]
        rejected = log_probs[number + len(batch), start : start + len(pair.rejected_ids)]
        if not bool(torch.isfinite(torch.cat([chosen, rejected])).all()):
            raise RuntimeCheckError(
                f"pair {pair.pair_id}: a log-prob is not finite; try runtime.dtype float32 or bfloat16, "
                "or look at the checkpoint"
            )
        scored[pair.pair_id] = PairLogps(chosen.tolist(), rejected.tolist())
    return scored
