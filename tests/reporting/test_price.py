from typing import Any

import pytest

from stages.errors import InputError
from stages.reporting.price import say_price
from tests.reporting.test_story import COVERAGE


def make_document(**changes: Any) -> dict[str, Any]:
    curve: dict[str, Any] = {
        "is_told": True, "helps": True, "n_pairs": 2000, "split_sha256": COVERAGE.split_sha256,
        "average": {"value": 0.02, "low": 0.01, "high": 0.042}, "last": {"value": 0.01, "low": -0.002, "high": 0.031},
    }  # fmt: skip
    return {"curve": {**curve, **changes}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        # 2,000 pairs at 2 minutes each
        ({}, "More pairs would help. On average a doubling of the pairs made 1 more to 4.2 more of 100 choices come out right, the last one "
             "0.2 fewer to 3.1 more. As many pairs again, 2,000, take an editor about 67 hours."),
        ({"helps": False, "average": {"low": -0.01, "high": 0.042}}, "It is not shown that more pairs would help. On average a doubling "
             "of the pairs made 1 fewer to 4.2 more of 100 choices come out right, the last one 0.2 fewer to 3.1 more. As many pairs again, 2,000, take an editor about 67 hours."),
        ({"is_told": False}, "We cannot tell yet if more pairs would help. As many pairs again, 2,000, take an editor about 67 hours."),
        ({"average": {"value": 0.02}}, "We cannot tell yet if more pairs would help. As many pairs again, 2,000, take an editor about "
             "67 hours."),
        ({"split_sha256": "0" * 64}, ""),
    ],
)  # fmt: skip
def test_twice_the_pairs_have_a_price_in_hours(changes: dict[str, Any], said: str) -> None:
    coverage = COVERAGE._replace(minutes_per_view=2.0)
    assert say_price(make_document(**changes), coverage) == said


def test_without_a_curve_nothing_is_said_and_a_broken_one_is_refused() -> None:
    assert say_price(None, COVERAGE) == ""
    with pytest.raises(ValueError, match="n_pairs"):
        say_price(make_document(n_pairs=0), COVERAGE)
    with pytest.raises(ValueError, match="cannot be read"):
        say_price(InputError("data/curve/curve.json: cannot be read"), COVERAGE)
