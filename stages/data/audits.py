"""Audits of the kept pairs: numbers that no single row can break, and what is odd about them."""

from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from stages.data.pair_index import SHOWN, UNKNOWN, PairIndex
from stages.files.numbers import percent

N_FOLDS = 5
MAX_CLASSIFIED = 20_000  # pairs; more do not make the trivial classifier's share more certain
MIN_CLASSIFIED = 50

Numbers = NDArray[np.int64]


class AuditLimits(NamedTuple):
    """From params.yaml `validate.audit`, as shares; a p-value for the order of the sides."""

    longer_wins_low: float
    longer_wins_high: float
    left_wins_min_p_value: float
    trivial_classifier_below: float
    agreement_above: float
    min_pairs_per_editor: int


class Audit(NamedTuple):
    """`numbers` and `review_dates` hold what is known and go to the metrics, `remarks` to the page."""

    numbers: dict[str, float | int]
    remarks: list[str]
    review_dates: dict[str, str]


def audit_pairs(index: PairIndex, kept: NDArray[np.bool_], components: Numbers, limits: AuditLimits) -> Audit:
    """Audit the kept entries of the index."""
    numbers: dict[str, float | int] = {}
    numbers |= _longer_wins(index.feature_differences[kept, 0])
    numbers |= _left_wins(index.column("shown")[kept])
    numbers |= _counts("editor", index.column("editor")[kept])
    numbers |= _counts("section", index.column("section")[kept])
    numbers |= classify_by_features(index.feature_differences[kept], components[kept])
    known_days = index.column("day")[kept & (index.column("day") > UNKNOWN)]
    numbers["n_day_known"] = len(known_days)
    return Audit(numbers, _remark(numbers, limits), first_and_last(known_days))


def _longer_wins(differences: NDArray[np.float32]) -> dict[str, float | int]:
    """ "Longer" means more characters, and equal lengths count half; the baseline is what always or never
    choosing it would reach.
    """
    n_longer, n_shorter = int((differences > 0).sum()), int((differences < 0).sum())
    if not n_longer + n_shorter:
        return {}
    share = (1 + (n_longer - n_shorter) / len(differences)) / 2
    return {
        "longer_wins_share": share,
        "length_baseline_accuracy": max(share, 1 - share),
        "n_equal_length": len(differences) - n_longer - n_shorter,
    }


def _left_wins(shown: Numbers) -> dict[str, float | int]:
    n_left, n_right = int((shown == SHOWN["left"]).sum()), int((shown == SHOWN["right"]).sum())
    if not n_left + n_right:
        return {"n_order_known": 0}
    return {
        "n_order_known": n_left + n_right,
        "left_wins_share": n_left / (n_left + n_right),
        # exact and two-sided; at one half both tails are alike
        "left_wins_p_value": min(1.0, 2 * float(bdtr(min(n_left, n_right), n_left + n_right, 0.5))),
    }


def _counts(name: str, values: Numbers) -> dict[str, float | int]:
    known = np.unique(values[values >= 0], return_counts=True)[1]
    if not known.size:
        return {f"n_{name}s": 0}
    return {
        f"n_{name}s": int(known.size),
        f"n_pairs_of_busiest_{name}": int(known.max()),
        f"n_pairs_of_rarest_{name}": int(known.min()),
        f"n_pairs_without_{name}": int((values < 0).sum()),
    }


def first_and_last(days: Numbers) -> dict[str, str]:
    """The first and the last of the days on which pairs were reviewed, in ISO 8601."""
    if not days.size:
        return {}
    first, last = (date.fromordinal(int(day)).isoformat() for day in (days.min(), days.max()))
    return {"reviewed_from": first, "reviewed_to": last}


def classify_by_features(differences: NDArray[np.float32], components: Numbers) -> dict[str, float | int]:
    """Accuracy of a logistic regression on `FEATURES`, cross-validated by whole components.

    It has no intercept and sees chosen minus rejected, so that turning a pair around changes nothing.
    """
    if len(differences) > MAX_CLASSIFIED:
        step = len(differences) // MAX_CLASSIFIED + 1
        differences, components = differences[::step], components[::step]
    if len(differences) < MIN_CLASSIFIED or len(np.unique(components)) < 2 * N_FOLDS:
        return {}
    scale = differences.std(axis=0)
    features = (differences / np.where(scale > 0, scale, 1)).astype(np.float64)
    folds = np.unique(components, return_inverse=True)[1].ravel() % N_FOLDS
    scores = np.empty(len(features))
    for fold in range(N_FOLDS):
        scores[folds == fold] = features[folds == fold] @ fit_logistic(features[folds != fold])
    accuracy = float((scores > 0).mean() + (scores == 0).mean() / 2)
    return {"trivial_classifier_accuracy": round(accuracy, 6)}


def fit_logistic(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights w that minimise sum(log(1 + exp(-x w))) + |w|^2 / 2, as scikit-learn's LogisticRegression does.

    scikit-learn takes seconds to import, more than the rest of the check.
    """
    from scipy.optimize import minimize

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = differences @ weights
        slope = -differences.T @ np.exp(-np.logaddexp(0, scores))  # 1 / (1 + exp(scores))
        return float(np.logaddexp(0, -scores).sum() + weights @ weights / 2), slope + weights

    fitted: NDArray[np.float64] = minimize(
        loss, np.zeros(differences.shape[1]), jac=True, method="L-BFGS-B"
    ).x
    return fitted


def _remark(numbers: dict[str, float | int], limits: AuditLimits) -> list[str]:
    remarks = []
    share = numbers.get("longer_wins_share")
    if share is not None and not limits.longer_wins_low <= share <= limits.longer_wins_high:
        remarks.append(
            f"The longer text wins in {percent(share)} of the pairs: a model may learn length "
            "instead of quality."
        )
    if numbers.get("left_wins_p_value", 1.0) < limits.left_wins_min_p_value:
        remarks.append(
            f"The left text wins in {percent(numbers['left_wins_share'])} of the pairs whose order is known, "
            "which is not chance: the side on which a text stood has swayed the judgement."
        )
    accuracy = numbers.get("trivial_classifier_accuracy")
    if accuracy is not None and accuracy >= limits.trivial_classifier_below:
        remarks.append(
            f"A trivial classifier that sees only lengths and punctuation reaches {percent(accuracy)}, "
            "as much as the gate asks: the data is too easy, or something leaks."
        )
    if 0 < numbers.get("n_pairs_of_rarest_editor", 0) < limits.min_pairs_per_editor:
        remarks.append(
            f"The editor with the fewest pairs judged {numbers['n_pairs_of_rarest_editor']}, fewer than "
            f"{limits.min_pairs_per_editor}: results by editor say little there."
        )
    return remarks
