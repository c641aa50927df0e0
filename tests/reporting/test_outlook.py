import itertools
from datetime import date

import pytest
from statsmodels.stats.proportion import proportion_confint

from stages.data.pair_index import UNKNOWN, day_number
from stages.decision.evidence import ReviewPeriod
from stages.decision.wording import say_day
from stages.reporting.coverage import Measures
from stages.reporting.outlook import (
    Outlook,
    look_ahead,
    pairs_to_settle,
    size_to_exclude,
    tasks_to_exclude,
    tasks_to_settle,
    weeks_at_pace,
)
from tests.support.decision_factory import LIMITS, make_accuracy, make_winrate

PERIOD = ReviewPeriod(n_day_known=700, reviewed_from=date(2025, 1, 1), reviewed_to=date(2025, 1, 28))


@pytest.mark.parametrize("share", [0.55, 0.7, 0.82])
@pytest.mark.parametrize("line", [0.5, 0.6, 0.68])
def test_the_size_is_the_first_at_which_wilsons_interval_leaves_the_line(share, line):
    size = size_to_exclude(share, line, z=1.959963984540054)

    def holds(n: int) -> bool:
        low, high = proportion_confint(share * n, n, method="wilson")
        return low <= line <= high

    first = next(n for n in itertools.count(1) if not holds(n))
    assert first - 1 <= size <= first


def test_a_share_on_the_line_never_leaves_it():
    assert size_to_exclude(0.6, 0.6, z=1.96) is None
    assert size_to_exclude(0.6, 0.0, z=1.96) is None


def test_a_share_above_the_target_must_leave_chance_and_one_below_the_target_itself():
    # 1.96^2 x 0.25 / (0.6067 - 0.5)^2 = 84.4 effective ones; a task is worth 90 / 50 of them: 46.9 tasks
    assert tasks_to_settle(make_winrate(90, 2, 58, value=182 / 300), 0.6, 0.5) == 50
    above = make_winrate(96, 0, 54, value=0.64)
    assert tasks_to_settle(above, 0.6, 0.5) == tasks_to_exclude(above, 0.5)
    below = make_winrate(84, 0, 66, value=0.56)
    assert tasks_to_settle(below, 0.6, 0.5) == tasks_to_exclude(below, 0.6)
    assert tasks_to_settle(make_winrate(90, 0, 60), 0.6, 0.5) is None  # 60 % exactly: no size would do
    assert tasks_to_settle(None, 0.6, 0.5) is None
    assert tasks_to_settle(make_winrate(n_star=None), 0.6, 0.5) is None


def test_pairs_must_leave_the_length_rule_behind_too():
    assert (
        pairs_to_settle(make_accuracy(210, longer_wins=0.6), 0.68, 0.5) == 110
    )  # 1.96^2 x .24 / .1^2 / .9 = 102.4
    assert pairs_to_settle(make_accuracy(210, longer_wins=0.71), 0.68, 0.5) is None
    assert pairs_to_settle(make_accuracy(204), 0.68, 0.5) is None
    assert pairs_to_settle(make_accuracy(n_eff=None), 0.68, 0.5) is None


def test_weeks_are_at_the_pace_of_the_pairs_at_hand():
    assert weeks_at_pace(250, PERIOD) == 2  # 25 pairs a day: ten days
    assert weeks_at_pace(700, PERIOD) == 4
    assert weeks_at_pace(None, PERIOD) is None
    assert weeks_at_pace(250, None) is None


def test_nothing_measured_gives_no_outlook():
    assert look_ahead(Measures(None, None, None), LIMITS, None) == Outlook(None, None, None, None)


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
