"""The ceiling's ranges against the worked example, against simulated editors, and where none is known."""

import numpy as np
import pytest

from stages.measures.ceiling import ceiling, count_votes, tell_ceiling
from tests.support.pair_factory import make_pair


def test_the_ranges_at_an_agreement_of_73_in_100_are_those_of_the_design():
    found = [ceiling(0.73, {n: 1}) for n in (1, 3, 2)]
    assert [tuple(round(100 * end) for end in one) for one in found] == [(73, 84), (73, 93), (82, 96)]


@pytest.mark.parametrize("agreement", [0.5, 0.6, 0.73, 0.9, 1.0])
def test_the_closed_forms_of_one_two_and_three_votes(agreement):
    s = np.sqrt(2 * agreement - 1)
    u = (1 + s) / 2
    assert ceiling(agreement, {1: 7}) == pytest.approx((agreement, u))
    assert ceiling(agreement, {3: 7}) == pytest.approx((agreement, 0.5 + (3 * s - s**3) / 4))
    ends = ((1.5 * agreement - 0.5) / agreement, (u - (1 - agreement) / 2) / agreement)
    assert ceiling(agreement, {2: 7}) == pytest.approx(ends)


def test_a_mix_weighs_the_kinds_by_their_labels():
    one, three = ceiling(0.7, {1: 1}), ceiling(0.7, {3: 1})
    mixed = ceiling(0.7, {1: 30, 3: 10})
    assert mixed == pytest.approx(tuple(0.75 * a + 0.25 * b for a, b in zip(one, three, strict=True)))


def test_any_mix_of_items_lies_between_the_two_extremes():
    """E[c(p)] / E[d(p)] by the definition, over drawn mixtures with the same agreement as the range's."""
    random = np.random.default_rng(7)
    for n_votes in (1, 2, 3, 4, 5):
        for _ in range(50):
            p = 0.5 + 0.5 * random.beta(*random.uniform(0.2, 3, 2), size=400)
            said = np.stack([random.random((400, 200)) < p[:, None] for _ in range(n_votes)]).sum(axis=0)
            decided, right = (2 * said != n_votes).sum(), (2 * said > n_votes).sum()
            low, high = ceiling(1 - 2 * np.mean(p * (1 - p)), {n_votes: 1})
            assert low - 0.01 <= right / decided <= high + 0.01


def test_below_one_half_and_without_labels_there_is_none():
    with pytest.raises(ValueError, match="below 0.5"):
        ceiling(0.49, {1: 1})
    with pytest.raises(ValueError, match="no label"):
        ceiling(0.8, {})


@pytest.mark.parametrize(
    ("agreement", "says"),
    [
        ({"n_items": 0}, "no two editors judged the same texts"),
        (
            {"n_items": 6, "decided_share": 0.8},
            "the pairs that two editors judged (6) come from too few separate groups for a range",
        ),
        ({"n_items": 90, "decided_share": 0.4, "decided_low": 0.3, "decided_high": 0.5}, "do not agree"),
    ],
)
def test_an_unknown_ceiling_says_why(agreement, says):
    found = tell_ceiling(agreement, {1: 300})
    assert found["status"] == "unknown"
    assert says in found["reason"]


def test_the_interval_of_the_agreement_is_carried_through_and_stops_at_one_half():
    agreement = {"n_items": 90, "decided_share": 0.6, "decided_low": 0.45, "decided_high": 0.7}
    found = tell_ceiling(agreement, {1: 300})
    assert (found["low"], found["lowest"]) == (pytest.approx(0.6), 0.5)
    assert found["highest"] == ceiling(0.7, {1: 1}).high


def test_ties_are_no_votes_for_a_label():
    pairs = [make_pair(n_votes=3, n_agree=2, votes={"a": "chosen", "b": "chosen", "c": "tie"}), make_pair()]
    assert count_votes(pairs) == {2: 1, 1: 1}
