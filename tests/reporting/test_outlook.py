from datetime import date

import numpy as np
import pytest
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from stages.data.pair_index import UNKNOWN, day_number
from stages.decision.evidence import ReviewPeriod
from stages.decision.wording import say_day
from stages.reporting.advice import settles, settling_cost
from stages.reporting.coverage import Measures
from stages.reporting.outlook import (
    Outlook,
    look_ahead,
    pairs_to_settle,
    size_to_exclude,
    tasks_to_settle,
    weeks_at_pace,
)
from tests.reporting.test_story import COVERAGE
from tests.support.decision_factory import LIMITS, make_accuracy, make_winrate

PERIOD = ReviewPeriod(n_day_known=700, reviewed_from=date(2025, 1, 1), reviewed_to=date(2025, 1, 28))


@pytest.mark.parametrize(("share", "line"), [(0.55, 0.6), (0.7, 0.5), (0.7, 0.6), (0.82, 0.68)])
def test_at_this_size_wilsons_interval_leaves_the_line_8_times_in_10(share, line):
    z = 1.959963984540054
    n = round(size_to_exclude(share, line, z=z))
    counts = np.arange(n + 1)
    low, high = proportion_confint(counts, n, method="wilson")
    leaves = (low > line) if share > line else (high < line)
    assert binom.pmf(counts[leaves], n, share).sum() == pytest.approx(0.8, abs=0.05)  # counts are whole


def test_a_share_on_the_line_never_leaves_it():
    assert size_to_exclude(0.6, 0.6, z=1.96) is None
    assert size_to_exclude(0.6, 0.0, z=1.96) is None


def test_a_share_above_the_target_must_leave_chance_and_one_below_the_target_itself():
    # (1.96 x .5 + .8416 x .48)^2 / .14^2 = 97.9 effective ones; a task is worth 90 / 50 of them: 54.4 tasks.
    # That 64 % lie above 60 % again takes .8416^2 x .2304 / .04^2 = 102, so 56.7
    assert tasks_to_settle(make_winrate(96, 0, 54, value=0.64), 0.6, 0.5) == 60
    # (1.96 x .4899 + .8416 x .4964)^2 / .04^2 = 1,187 effective ones, 659.3 tasks
    assert tasks_to_settle(make_winrate(84, 0, 66, value=0.56), 0.6, 0.5) == 660
    assert tasks_to_settle(make_winrate(90, 0, 60), 0.6, 0.5) is None  # 60 % exactly: no size would do
    assert (
        tasks_to_settle(make_winrate(90, 2, 58), 0.6, 0.5) is None
    )  # 60.7 %: twenty times as many would not
    assert tasks_to_settle(None, 0.6, 0.5) is None
    assert tasks_to_settle(make_winrate(n_star=None), 0.6, 0.5) is None


def test_pairs_must_leave_the_length_rule_behind_too():
    # (1.96 x .4899 + .8416 x .4583)^2 / .1^2 = 181; above 68 % again: .8416^2 x .21 / .02^2 = 372; / .9 = 413
    assert pairs_to_settle(make_accuracy(210, longer_wins=0.6), 0.68, 0.5) == 420
    assert pairs_to_settle(make_accuracy(210, longer_wins=0.71), 0.68, 0.5) is None
    assert pairs_to_settle(make_accuracy(204), 0.68, 0.5) is None
    assert pairs_to_settle(make_accuracy(205), 0.68, 0.5) is None  # 68.3 %: out of reach
    assert pairs_to_settle(make_accuracy(n_eff=None), 0.68, 0.5) is None


def test_settling_a_share_below_the_target_means_that_it_fails():
    below = look_ahead(Measures(make_accuracy(190), make_winrate(84, 0, 66), None), LIMITS, None)
    assert set(below.would_fail) == {"winrate", "accuracy"}
    above = look_ahead(Measures(make_accuracy(), make_winrate(), None), LIMITS, None)
    assert not above.would_fail
    assert "Most likely it fails then." in settles("winrate", below)
    assert "fails" not in settles("winrate", above)


def test_after_the_first_of_two_looks_the_study_goes_on():
    first = look_ahead(Measures(None, make_winrate(look=1, looks=2), None), LIMITS, None)
    last = look_ahead(Measures(None, make_winrate(look=2, looks=2), None), LIMITS, None)
    assert "planned with two looks: go on with fresh tasks" in settling_cost(COVERAGE, first)
    assert "two looks" not in settling_cost(COVERAGE, last)


def test_weeks_are_at_the_pace_of_the_pairs_at_hand():
    assert weeks_at_pace(250, PERIOD) == 2  # 25 pairs a day: ten days
    assert weeks_at_pace(700, PERIOD) == 4
    assert weeks_at_pace(None, PERIOD) is None
    assert weeks_at_pace(250, None) is None


def test_nothing_measured_gives_no_outlook():
    assert look_ahead(Measures(None, None, None), LIMITS, None) == Outlook(None, None, None, None, set())


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2025-03-04", date(2025, 3, 4)),
        ("20250304", date(2025, 3, 4)),
        ("2025-03-04T23:59:59+09:00", date(2025, 3, 4)),
        ("2025-03-04 08:00", date(2025, 3, 4)),
    ],
)
def test_a_day_is_read_as_it_is_written(text, day):
    assert day_number(text) == day.toordinal()


@pytest.mark.parametrize("text", [None, "", "spring 2025", "04.03.2025", "2025-02-30", "1712120400123"])
def test_what_is_no_day_is_not_guessed(text):
    assert day_number(text) == UNKNOWN


def test_a_day_is_said_without_a_locale():
    assert say_day(date(2025, 3, 4)) == "4 March 2025"


def test_a_period_that_ends_before_it_starts_is_refused():
    with pytest.raises(ValueError, match="is after"):
        ReviewPeriod(n_day_known=1, reviewed_from=date(2025, 2, 1), reviewed_to=date(2025, 1, 1))
