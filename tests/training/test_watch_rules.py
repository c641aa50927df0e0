from hypothesis import given
from hypothesis import strategies as st

from stages.training.watch_rules import chosen_drops, collapsed, exploded


def test_a_drop_is_in_nats_a_token() -> None:
    # reward -2 = 0.1 x (-20 nats) over 40 tokens: half a nat a token less likely
    assert chosen_drops([-2.0, 0.4], beta=0.1, mean_tokens=40) == [0.5, -0.1]


def test_one_bad_line_is_no_collapse_but_a_bad_window_is() -> None:
    drops = [0.0, 3.0, 0.0, 0.9, 0.9, 0.9]
    # means of two: 1.5, 1.5, 0.45, 0.9, 0.9
    assert collapsed(drops, limit=1.0, window=2) == [False, True, True, False, False, False]
    assert collapsed(drops, limit=1.0, window=6) == [False] * 6
    assert collapsed([5.0], limit=1.0, window=2) == [False]
    assert collapsed([], limit=1.0, window=2) == []


def test_a_loss_explodes_against_the_first_or_against_one() -> None:
    assert not exploded(9.9, first=0.1, max_growth=10.0)
    assert exploded(10.1, first=0.1, max_growth=10.0)
    assert not exploded(400.0, first=50.0, max_growth=10.0)
    assert exploded(501.0, first=50.0, max_growth=10.0)


@given(st.lists(st.integers(-8, 8)), st.integers(1, 5))
def test_the_last_window_alone_says_what_the_whole_log_says(drops: list[int], window: int) -> None:
    # `Watch` looks at no more; halves are exact, so that no rounding hides a difference
    halves = [drop / 2 for drop in drops]
    assert (
        collapsed(halves, limit=1.0, window=window)[-1:]
        == collapsed(halves[-window:], limit=1.0, window=window)[-1:]
    )
