"""How doubtful a label is: what a model of words, trained on the other pairs, thinks of it.

A logistic ranker on the difference, chosen minus rejected, of hashed words, characters and surface features,
out of fold by component, so that no pair is judged by one that shares its texts. It finds wrong labels and
the taste of a minority alike: it is a reason to look, and none to change anything.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from stages.data.pair_index import measure_text
from stages.files.hashing import hex_digest
from stages.files.pairs import PreferencePair, SplitPair

N_FOLDS = 5
N_HASHED = 2**18
STRENGTH = 0.3  # scikit-learn's C: found on the sample corpus with labels turned round

Floats = NDArray[np.float64]


class Doubt(NamedTuple):
    """One value per pair: doubt is 1 - the predicted probability of the label, in (0, 1)."""

    doubt: Floats
    accuracy: float  # share of the labels that the model predicts, out of fold


class TooFewComponentsError(ValueError):
    """There are fewer components than folds."""


def doubt_labels(pairs: Sequence[SplitPair], *, salt: str) -> Doubt:
    """Doubt of every pair; a pair's fold is the salted hash of its component."""
    folds = np.array([int(hex_digest(salt, "fold", pair.component_id)[:8], 16) % N_FOLDS for pair in pairs])
    if len(np.unique(folds)) < N_FOLDS:
        raise TooFewComponentsError
    return doubt_differences(difference_features(pairs), folds)


def doubt_differences(differences: Any, folds: NDArray[np.int64]) -> Doubt:
    """Doubt by features of chosen minus rejected, a sparse matrix with one row a pair."""
    from sklearn.linear_model import LogisticRegression

    turned = np.where(np.arange(len(folds)) % 2, 1, -1)  # half of the pairs turned round, as two classes
    turned_differences = sparse.csr_array(sparse.diags_array(turned.astype(float)) @ differences)
    scores = np.empty(len(folds))
    for fold in np.unique(folds):
        model = LogisticRegression(C=STRENGTH, fit_intercept=False, solver="liblinear", random_state=0)
        model.fit(turned_differences[folds != fold], turned[folds != fold])
        scores[folds == fold] = differences[folds == fold] @ model.coef_[0]
    return Doubt(1 / (1 + np.exp(scores)), float((scores > 0).mean() + (scores == 0).mean() / 2))


def difference_features(pairs: Sequence[PreferencePair]) -> Any:
    """Chosen minus rejected, sparse: each kind of feature has a mean squared length of 1 or less."""
    from sklearn.feature_extraction.text import HashingVectorizer

    kinds = [
        HashingVectorizer(ngram_range=(1, 2), n_features=N_HASHED, alternate_sign=False, norm=None),
        HashingVectorizer(
            analyzer="char_wb", ngram_range=(4, 4), n_features=N_HASHED, alternate_sign=False, norm=None
        ),
    ]
    chosen, rejected = ([getattr(pair, side) for pair in pairs] for side in ("chosen", "rejected"))
    blocks = [kind.transform(chosen) - kind.transform(rejected) for kind in kinds]
    lengths = [np.sqrt(block.multiply(block).sum(axis=1).mean()) for block in blocks]
    surface = np.array([measure_text(a) for a in chosen]) - np.array([measure_text(b) for b in rejected])
    spread = surface.std(axis=0)
    surface = surface / np.where(spread > 0, spread, 1) / (2 * np.sqrt(surface.shape[1]))
    scaled = [block / (length or 1) for block, length in zip(blocks, lengths, strict=True)]
    features = sparse.csr_array(sparse.hstack([*scaled, surface]))
    return features[:, np.unique(features.indices)]  # of the hashed columns few are in use
