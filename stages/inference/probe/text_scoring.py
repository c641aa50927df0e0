"""Log-probs of plain texts, each by itself: no chat template, no answer to be given."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from stages.errors import RuntimeCheckError
from stages.run.processes import deal, gather
from stages.run.progress import track

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class TextLogp(NamedTuple):
    """Tokens of a text and the sum of their log-probs in nats."""

    n_tokens: int
    logp: float


def score_texts(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    texts: Sequence[str],
    *,
    batch_size: int,
    label: str,
) -> list[TextLogp]:
    """One sum per text, in the given order; the first token is predicted from the token that opens a text.

    RuntimeCheckError where a sum is no number, as of a broken model.
    """
    opening = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    encoded = [[opening, *tokenizer(text, add_special_tokens=False)["input_ids"]] for text in texts]
    by_length = sorted(range(len(texts)), key=lambda index: (-len(encoded[index]), index))
    batches = deal([by_length[start : start + batch_size] for start in range(0, len(texts), batch_size)])
    done: dict[int, TextLogp] = {}
    for batch in track(batches, total=len(batches), label=label, unit="batches"):
        padded = tokenizer.pad(
            {"input_ids": [encoded[index] for index in batch]}, padding_side="right", return_tensors="pt"
        )
        for index, logp in zip(batch, _sum_logps(model, padded), strict=True):
            done[index] = TextLogp(len(encoded[index]) - 1, logp)
    done = gather(done)
    broken = [texts[index][:40] for index, one in done.items() if not torch.tensor(one.logp).isfinite()]
    if broken:
        raise RuntimeCheckError(
            f"{label}: {len(broken)} texts got a log-prob that is no number (first: {broken[0]!r}); "
            "the model's weights or runtime.dtype are broken, so nothing is written"
        )
    return [done[index] for index in range(len(texts))]


def _sum_logps(model: "PreTrainedModel", padded: dict[str, torch.Tensor]) -> list[float]:
    """Sum over each row's own tokens but the first; float32 log-softmax whatever the model's dtype.

    One row after the other: the log-probs of a whole batch would take its logits' memory thrice more.
    """
    tokens = padded["input_ids"].to(model.device)
    mask = padded["attention_mask"].to(model.device)
    with torch.inference_mode():
        logits = model(input_ids=tokens, attention_mask=mask, use_cache=False).logits[:, :-1]
        logps = torch.stack(
            [
                torch.log_softmax(row, dim=-1, dtype=torch.float32).gather(1, own[1:, None])[:, 0]
                for row, own in zip(logits, tokens, strict=True)
            ]
        )
        sums: list[float] = (logps * mask[:, 1:]).sum(dim=1).tolist()
    return sums
