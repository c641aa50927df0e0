"""Krippendorff's alpha, the share of disagreement that is not chance."""

import numpy as np
from numpy.typing import ArrayLike


def ordinal_alpha(ratings: ArrayLike) -> float:
    """Krippendorff's alpha for ordered values (2019, chapter 12): 1 - observed / expected disagreement.

    `ratings` is [n_items, n_raters], NaN where somebody did not judge; items with fewer than two ratings
    say nothing. Two values disagree by the square of the ratings between their mid-ranks. NaN where all
    ratings that count are the same.
    """
    table = np.asarray(ratings, dtype=float)
    counts = np.stack([(table == value).sum(axis=1) for value in np.unique(table[~np.isnan(table)])], axis=1)
    counts = counts[counts.sum(axis=1) >= 2].astype(float)
    n_per_item, totals = counts.sum(axis=1, keepdims=True), counts.sum(axis=0)
    together = (counts / (n_per_item - 1)).T @ counts - np.diag((counts / (n_per_item - 1)).sum(axis=0))
    middle = np.cumsum(totals) - totals / 2
    distance = (middle[:, None] - middle) ** 2
    expected = float(np.sum(np.outer(totals, totals) * distance))
    return (
        1 - (totals.sum() - 1) * float(np.sum(together * distance)) / expected if expected else float("nan")
    )
