"""Are the policy's probabilities what they say? sigma(margin) against the editors' choice.

A margin says by how much the policy moved towards the editors' choice, and DPO's model (Bradley and
Terry 1952) turns it into the probability sigma(margin) of that choice.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import t

from stages.logprobs.margins import MarginRow
from stages.measures.intervals import clustered_mean, wilson_interval

N_CALIBRATION_BINS = 10
STEEPEST = 60.0  # in units of 1 / the mean |margin|: beyond it sigma is 0 or 1 for nearly every pair


class Bin(NamedTuple):
    """Pairs of which the model is about equally sure: how sure on average, and how often it is right."""

    predicted: float
    observed: float
    low: float  # Wilson's 95 % interval of `observed`
    high: float
    n: int


class Slope(NamedTuple):
    """The factor that would make the margins calibrated, with a two-sided 95 % interval."""

    value: float
    low: float
    high: float


def brier_score(rows: Sequence[MarginRow]) -> float:
    """Mean squared error of sigma(margin) as the probability of the editors' choice; a coin scores 0.25."""
    return float(np.mean([(1 - preference_probability(row)) ** 2 for row in rows]))


def preference_probability(row: MarginRow) -> float:
    """Bradley-Terry probability that `chosen` is preferred, sigma(margin), as DPO models it."""
    return float(expit(row.margin))


def calibration(rows: Sequence[MarginRow], tolerance: float) -> list[Bin]:
    """A reliability table: confidence max(p, 1 - p) in ten equal bins of [0.5, 1], and the share right.

    A margin within the tolerance counts as zero, which is right nowhere.
    """
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for row in rows:
        probability = preference_probability(row)
        confident = max(probability, 1 - probability)
        place = min(int((confident - 0.5) * 2 * N_CALIBRATION_BINS), N_CALIBRATION_BINS - 1)
        bins[place].append((confident, row.margin > tolerance))
    table = []
    for _, cell in sorted(bins.items()):
        n, n_right = len(cell), sum(right for _, right in cell)
        sure = float(np.mean([p for p, _ in cell]))
        table.append(Bin(sure, n_right / n, *wilson_interval(n_right, n), n))
    return table


def calibration_slope(rows: Sequence[MarginRow], tolerance: float) -> Slope | None:
    """The s that makes sigma(s x margin) most likely (logistic regression without intercept, Cox 1958).

    1: as sure as it is right; below 1: too sure; above: not sure enough; below 0: worse than a coin.
    There is no intercept, because which text is called first is arbitrary. The interval is Wald's, with
    the variance and Student's t of `clustered_mean` over components. None where all margins that are not
    zero agree in sign: then no finite s is the most likely; nor of one component.
    """
    kept = [row for row in rows if abs(row.margin) > tolerance]
    margins = np.array([row.margin for row in kept])
    if not (margins > 0).any() or not (margins < 0).any():
        return None
    scale = float(np.mean(np.abs(margins)))
    x = margins / scale

    def pull(slope: float) -> float:
        """Derivative of the log-likelihood sum(log sigma(slope x)): falls as the slope rises."""
        return float(np.sum(x * expit(-slope * x)))

    if pull(STEEPEST) > 0 or pull(-STEEPEST) < 0:
        return None
    slope = float(brentq(pull, -STEEPEST, STEEPEST, xtol=1e-10))
    wrong = expit(-slope * x)
    information = float(np.sum(x**2 * wrong * (1 - wrong)))
    scores = clustered_mean(x * wrong, [row.component_id for row in kept])
    if scores is None:
        return None
    reach = float(t.ppf(0.975, scores.df) * np.sqrt(scores.variance)) * len(kept) / information
    return Slope(slope / scale, (slope - reach) / scale, (slope + reach) / scale)
