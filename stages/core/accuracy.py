"""Held-out preference accuracy, its interval, and the trivial rules it must be compared with.

Definitions: docs/statistics.md. A margin within the tolerance counts as zero, and zero is not a win.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from stages.core.clusters import clustered_wilson, effective_n
from stages.core.intervals import wilson_interval
from stages.core.margins import MarginRow, Part
from stages.errors import InputError

LENGTH_MATCHED_WITHIN = 0.10  # relative difference in characters
N_CALIBRATION_BINS = 10


class Share(NamedTuple):
    """k of n, with a 95 % interval."""

    k: int
    n: int
    value: float
    low: float
    high: float


class Bin(NamedTuple):
    """Pairs of which the model is about equally sure: how sure on average, and how often it is right."""

    predicted: float
    observed: float
    n: int


def check_rows(rows: Sequence[MarginRow]) -> None:
    """InputError where a pair stands twice, nothing was held out, or rows stem from several splits."""
    ids = [row.pair_id for row in rows]
    twice = sorted({pair_id for pair_id in ids if ids.count(pair_id) > 1}) if len(set(ids)) < len(ids) else []
    if twice:
        raise InputError(
            f"data/holdout/margins.jsonl: pairs stand twice: {', '.join(twice[:5])}; run `dvc repro holdout`"
        )
    if not any(row.part == "holdout" for row in rows):
        raise InputError("data/holdout/margins.jsonl: no held-out pair was scored; run `dvc repro holdout`")
    if len({row.split_sha256 for row in rows}) != 1:
        raise InputError("data/holdout/margins.jsonl: rows of several splits; run `dvc repro holdout`")


def rows_of(rows: Sequence[MarginRow], part: Part) -> list[MarginRow]:
    """The rows of one part."""
    return [row for row in rows if row.part == part]


def is_win(row: MarginRow, tolerance: float) -> bool:
    """True where the policy moved towards the editors' choice by more than the tolerance."""
    return row.margin > tolerance


def accuracy(rows: Sequence[MarginRow], tolerance: float) -> Share:
    """Share of pairs with a positive margin, with a Wilson interval at the effective size."""
    wins = [float(is_win(row, tolerance)) for row in rows]
    low, high = clustered_wilson(wins, [row.component_id for row in rows])
    return Share(int(sum(wins)), len(rows), sum(wins) / len(rows), low, high)


def summarise_holdout(rows: Sequence[MarginRow], tolerance: float) -> dict[str, float | int | str]:
    """The `holdout` block of `metrics/accuracy.json`."""
    share = accuracy(rows, tolerance)
    longer = longer_wins(rows)
    summary: dict[str, float | int | str] = {
        "k": share.k,
        "n": share.n,
        "accuracy": share.value,
        "low": share.low,
        "high": share.high,
        "n_eff": effective_n(
            [float(is_win(row, tolerance)) for row in rows], [row.component_id for row in rows]
        ),
        "n_components": len({row.component_id for row in rows}),
        "n_zero_margins": sum(abs(row.margin) <= tolerance for row in rows),
        "n_synthetic": sum(row.synthetic for row in rows),
        "longer_wins": max(longer, 1 - longer),
        "longer_wins_share": longer,
        "base_preference": _share(rows, lambda row: row.ref_chosen_logp > row.ref_rejected_logp),
        "base_preference_per_token": _share(
            rows,
            lambda row: (
                row.ref_chosen_logp / row.n_chosen_tokens > row.ref_rejected_logp / row.n_rejected_tokens
            ),
        ),
        "mean_margin": float(np.mean([row.margin for row in rows])),
        "brier": brier_score(rows),
        "split_sha256": rows[0].split_sha256,
    }
    matched = [row for row in rows if is_length_matched(row)]
    summary["n_length_matched"] = len(matched)
    if matched:
        summary["accuracy_length_matched"] = _share(matched, lambda row: is_win(row, tolerance))
    return summary


def summarise_selection(rows: Sequence[MarginRow], tolerance: float) -> dict[str, float | int]:
    """The `selection` block: what variants are ranked by."""
    share = accuracy(rows, tolerance)
    return {"k": share.k, "n": share.n, "accuracy": share.value, "low": share.low, "high": share.high}


def longer_wins(rows: Sequence[MarginRow]) -> float:
    """Share of pairs whose chosen side has more characters; equal lengths count one half."""
    return float(np.mean([0.5 + 0.5 * np.sign(row.n_chosen_chars - row.n_rejected_chars) for row in rows]))


def is_length_matched(row: MarginRow) -> bool:
    """True where both sides' lengths lie within 10 % of the longer."""
    longer = max(row.n_chosen_chars, row.n_rejected_chars)
    return abs(row.n_chosen_chars - row.n_rejected_chars) <= LENGTH_MATCHED_WITHIN * longer


def brier_score(rows: Sequence[MarginRow]) -> float:
    """Mean squared error of sigma(margin) as the probability of the editors' choice; a coin scores 0.25."""
    return float(np.mean([(1 - preference_probability(row)) ** 2 for row in rows]))


def preference_probability(row: MarginRow) -> float:
    """Bradley-Terry probability that `chosen` is preferred, sigma(margin), as DPO models it."""
    return float(1 / (1 + np.exp(-row.margin)))


def calibration(rows: Sequence[MarginRow]) -> list[Bin]:
    """A reliability table: confidence max(p, 1 - p) in ten equal bins of [0.5, 1], and the share right."""
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for row in rows:
        probability = preference_probability(row)
        confident = max(probability, 1 - probability)
        place = min(int((confident - 0.5) * 2 * N_CALIBRATION_BINS), N_CALIBRATION_BINS - 1)
        bins[place].append((confident, probability > 0.5))
    return [
        Bin(float(np.mean([p for p, _ in cell])), float(np.mean([right for _, right in cell])), len(cell))
        for _, cell in sorted(bins.items())
    ]


def slices(rows: Sequence[MarginRow], tolerance: float) -> list[tuple[str, str, Share]]:
    """Accuracy by editor, section and length gap, with plain Wilson intervals: (kind, name, share)."""
    cells: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for row in rows:
        gap = "matched" if is_length_matched(row) else _which_is_longer(row)
        for kind, name in (("editor", row.editor), ("section", row.section), ("length", gap)):
            if name is not None:
                cells[kind, name].append(is_win(row, tolerance))
    return [(kind, name, _wilson_share(wins)) for (kind, name), wins in sorted(cells.items())]


def _which_is_longer(row: MarginRow) -> str:
    return "chosen is longer" if row.n_chosen_chars > row.n_rejected_chars else "rejected is longer"


def _wilson_share(wins: Sequence[bool]) -> Share:
    k, n = sum(wins), len(wins)
    return Share(k, n, k / n, *wilson_interval(k, n))


def _share(rows: Sequence[MarginRow], holds: Callable[[MarginRow], bool]) -> float:
    return sum(map(holds, rows)) / len(rows)
