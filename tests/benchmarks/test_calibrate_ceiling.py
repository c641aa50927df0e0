import pytest

from benchmarks.calibrate_ceiling import KINDS, TRUTHS, Scenario, calibrate, true_ceiling
from stages.measures.ceiling import ceiling


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("truth", TRUTHS)
def test_range_and_interval_hold_the_truth(kind: str, truth: str) -> None:
    scenario = Scenario(kind, truth, 0.73)
    found = calibrate(scenario, n_corpora=150)
    assert found.ceiling >= 0.93  # the full run, `make calibrate`, has 2,000 corpora
    assert 0.9 <= found.agreement <= 0.99


def test_the_two_truths_are_the_ends_of_the_range() -> None:
    for kind in ("one vote", "majority of three"):
        found = [true_ceiling(Scenario(kind, truth, 0.73)) for truth in TRUTHS]
        assert sorted(found) == pytest.approx(list(ceiling(0.73, KINDS[kind])))
