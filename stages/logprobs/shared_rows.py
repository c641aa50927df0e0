"""The layout of a batch in which both completions of a pair share one row.

    tokens     trunk[:-1]  | last chosen...  | last rejected...
    positions  0 .. t-2    | t-1 ..          | t-1 ..            (each branch restarts)
    attention  causal; the branches do not attend to each other

The trunk is the prompt and the tokens with which both completions begin: editors often keep the first words.
Its last token opens each branch, so every label after it has a predictor of its own; a label in the trunk has
one predictor and counts for both completions.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from stages.logprobs.branch_masks import FLEX_BLOCK
from stages.logprobs.fast.packed_attention import PACKED, Packing, make_packing


class SharedRows(NamedTuple):
    """B shared rows of L tokens and where their labels stand in TRL's 2B rows of T tokens.

    N labels are scored and M asked for: a label in a trunk stands in two of TRL's rows.
    """

    input_ids: torch.Tensor  # (B, L)
    position_ids: torch.Tensor  # (B, L)
    branch: torch.Tensor  # (B, L): 0 trunk, 1 chosen, 2 rejected, -1 padding
    source: torch.Tensor  # (N, 2): row and position in (B, L) of each label's predictor
    labels: torch.Tensor  # (N,)
    target: torch.Tensor  # (M, 2): row and position in (2B, T - 1), TRL's shifted grid
    scored: torch.Tensor  # (M,): which of the N labels stands there
    packing: Packing | None = None  # where all pairs stand in one row


@dataclass(frozen=True)
class LaidOut:
    """Shared rows as one value of a batch: a data loader moves it by its own `to`, and looks no further."""

    rows: SharedRows

    def to(self, device: Any, *, non_blocking: bool = False) -> "LaidOut":
        """On `device`; packed rows stay on the CPU, the only place where they are used."""
        if self.rows.packing is not None:
            return self
        moved = (one.to(device, non_blocking=non_blocking) for one in self.rows[:-1])
        return LaidOut(SharedRows._make([*moved, None]))

    def pin_memory(self, *_device: Any) -> "LaidOut":
        """In memory from which a GPU copies by itself."""
        if self.rows.packing is not None:
            return self
        return LaidOut(SharedRows._make([*(one.pin_memory() for one in self.rows[:-1]), None]))


def lay_out(
    attention: str, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
) -> LaidOut:
    """The rows that a model with this attention runs, on the CPU: see `share_prefix`."""
    rows = share_prefix(input_ids, attention_mask, labels, packed=attention == PACKED)
    return LaidOut(pad_to_blocks(rows) if attention == "flex_attention" else rows)


def share_prefix(
    input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor, *, packed: bool = False
) -> SharedRows:
    """Lay TRL's right-padded 2B rows (chosen first) out as B rows on the CPU; `labels` is -100 elsewhere.

    `packed` puts all pairs into one row without padding, after the tokens with which all prompts begin.
    """
    n_pairs, width = input_ids.shape[0] // 2, input_ids.shape[1]
    # training lays out in the collator, where they are on the CPU; else a GPU is waited for once
    input_ids, attention_mask, labels = torch.stack([input_ids, attention_mask, labels]).cpu()
    place = torch.arange(width)
    n_prompt = _first_true(labels[:n_pairs] != -100)  # (B, 1), as all lengths here
    n_chosen, n_rejected = attention_mask.sum(dim=1, keepdim=True).chunk(2)
    n_alike = _first_true(input_ids[:n_pairs] != input_ids[n_pairs:])
    # each branch keeps at least one token of its own
    n_trunk = torch.minimum(n_alike, torch.minimum(n_chosen, n_rejected) - 1)
    n_head = _n_common_prompt(input_ids[:n_pairs], n_prompt) if packed else 0

    # trunk, chosen and rejected of each pair, as places in TRL's rows
    parts = [
        (place >= n_head) & (place < n_trunk - 1),
        (place >= n_trunk - 1) & (place < n_chosen - 1),
        (place >= n_trunk - 1) & (place < n_rejected - 1),
    ]
    pair, column = torch.cat(parts, dim=1).nonzero(as_tuple=True)  # in the order of the shared rows
    branch, position = column // width, column % width
    if packed:  # the head comes first; it is taken from the first pair
        pair, branch = (torch.cat([one.new_zeros(n_head), one]) for one in (pair, branch))
        position = torch.cat([place[:n_head], position])
    row = torch.zeros_like(pair) if packed else pair
    offset = torch.arange(len(row)) - torch.searchsorted(row, row)  # counted from the row's first token
    trls_row = pair + n_pairs * (branch == 2)
    shape = (int(row[-1]) + 1, int(offset.max()) + 1)

    predicts = (position >= n_prompt[pair, 0] - 1).nonzero()[:, 0]  # tokens before a completion's token
    target = torch.stack([trls_row, position], dim=1)[predicts]
    in_trunk = (branch[predicts] == 0).nonzero()[:, 0]
    rows = SharedRows(
        input_ids=_lay_out(input_ids[trls_row, position], row, offset, shape, padding=0),
        position_ids=_lay_out(position, row, offset, shape, padding=0),
        branch=_lay_out(branch, row, offset, shape, padding=-1),
        source=torch.stack([row, offset], dim=1)[predicts],
        labels=input_ids[target[:, 0], target[:, 1] + 1],
        target=torch.cat([target, target[in_trunk] + torch.tensor([n_pairs, 0])]),
        scored=torch.cat([torch.arange(len(predicts)), in_trunk]),
    )
    if packed:
        lengths = torch.stack(parts, dim=1).sum(dim=2).flatten().tolist()
        return rows._replace(packing=make_packing([n_head, *lengths]))
    return rows


def pad_to_blocks(rows: SharedRows) -> SharedRows:
    """The same rows, padded to whole blocks of flex attention, so that it meets few different lengths."""
    ends = (0, -rows.branch.shape[1] % FLEX_BLOCK)
    return rows._replace(
        input_ids=torch.nn.functional.pad(rows.input_ids, ends),
        position_ids=torch.nn.functional.pad(rows.position_ids, ends),
        branch=torch.nn.functional.pad(rows.branch, ends, value=-1),
    )


def _lay_out(
    values: torch.Tensor, row: torch.Tensor, offset: torch.Tensor, shape: tuple[int, int], *, padding: int
) -> torch.Tensor:
    laid_out = values.new_full(shape, padding)
    laid_out[row, offset] = values
    return laid_out


def _first_true(flags: torch.Tensor) -> torch.Tensor:
    """(B, 1): the first place of each row that is True, the row's width where none is."""
    return torch.where(flags.any(dim=1), flags.int().argmax(dim=1), flags.shape[1])[:, None]


def _n_common_prompt(prompts: torch.Tensor, n_prompt: torch.Tensor) -> int:
    """Tokens with which all prompts begin; a prompt's last token is left to its pair: it opens branches."""
    differ = (prompts != prompts[:1]).any(dim=0, keepdim=True)
    return int(torch.minimum(_first_true(differ), n_prompt.min() - 1))
