import numpy as np
import pytest

from benchmarks.calibrate_capability import replace_table
from benchmarks.calibrate_choice import (
    MARKS,
    N_PAIRS,
    SCENARIOS,
    Scenario,
    calibrate,
    format_table,
    simulate_right,
)


def test_simulated_variants_are_as_the_scenario_says() -> None:
    right = simulate_right(Scenario(4000, 0.68, 0.0, 3), np.random.default_rng(1))
    assert right.shape == (4000, N_PAIRS)
    # the standard error of a share of 1.2 million correlated answers is below 0.001
    assert right.mean() == pytest.approx(0.68, abs=0.004)
    same_group = np.corrcoef(right[:, 0], right[:, 1])[0, 1]
    assert same_group == pytest.approx(0.19, abs=0.06)  # of answers; 0.3 is that of the latent normals
    assert np.corrcoef(right[:, 0], right[:, 3])[0, 1] == pytest.approx(0.0, abs=0.06)


def test_variants_that_are_alike_agree_more() -> None:
    draws = np.random.default_rng(2)
    agree = {}
    for alike in (0.0, 0.9):
        studies = [simulate_right(Scenario(2, 0.68, alike, 1), draws) for _ in range(20)]
        agree[alike] = np.mean([first == second for first, second in studies])
    assert agree[0.9] > agree[0.0] + 0.2


def test_the_correction_holds_where_the_plain_interval_does_not() -> None:
    found = calibrate(Scenario(20, 0.68, 0.0, 1), n_studies=150, seed=3)
    assert found.plain < 0.85
    assert found.corrected >= 0.94


def test_the_table_has_a_row_for_every_scenario() -> None:
    found = calibrate(Scenario(1, 0.68, 0.0, 1), n_studies=5, seed=1)
    table = format_table([(one, found) for one in SCENARIOS])
    assert table.count("\n") == len(SCENARIOS) + 2
    once = replace_table(f"Before.\n{MARKS[0]}{MARKS[1]}After.\n", table, marks=MARKS)
    assert replace_table(once, table, marks=MARKS) == once == f"Before.\n{MARKS[0]}{table}{MARKS[1]}After.\n"
