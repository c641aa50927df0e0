"""The calibration slope against a logistic regression fitted by statsmodels."""

import numpy as np
import pytest
from statsmodels.discrete.discrete_model import Logit

from stages.logprobs.margins import MarginRow
from stages.measures.calibration import calibration, calibration_slope
from stages.measures.intervals import wilson_interval
from tests.support.margin_factory import make_row


def rows_with(margins: list[float]) -> list[MarginRow]:
    return [make_row(f"p{number}", margin) for number, margin in enumerate(margins)]


@pytest.mark.parametrize("size", [0.002, 0.2])  # margins as of an early step and of a trained policy
def test_the_slope_is_that_of_a_logistic_regression(size: float) -> None:
    rng = np.random.default_rng(3)
    confidence = rng.exponential(size, size=200)
    wins = rng.random(200) < 1 / (1 + np.exp(-2 * confidence / size))
    rows = rows_with([float(c if win else -c) for c, win in zip(confidence, wins, strict=True)])
    found = calibration_slope(rows, 0.0)
    assert found is not None
    fit = Logit(wins.astype(float), confidence / size).fit(
        disp=0, cov_type="cluster", cov_kwds={"groups": np.arange(200)}
    )
    assert found.value * size == pytest.approx(fit.params[0], rel=1e-6)
    assert (found.value - found.low) * size == pytest.approx(1.9599640 * fit.bse[0], rel=0.01)
    assert found.low < 2 / size < found.high  # the truth


def test_there_is_no_slope_where_every_pair_is_right_or_wrong() -> None:
    assert calibration_slope(rows_with([0.1, 0.2]), 1e-4) is None
    assert calibration_slope(rows_with([-0.1, 0.0]), 1e-4) is None
    assert calibration_slope(rows_with([]), 1e-4) is None


def test_a_bin_has_the_interval_of_its_share() -> None:
    (found,) = calibration(rows_with([0.1, 0.1, -0.1]), 0.0)
    assert (found.low, found.high) == wilson_interval(2, 3)
