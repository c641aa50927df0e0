"""Epoch order: a permutation, stable, different each epoch, of similar lengths."""

from hypothesis import given
from hypothesis import strategies as st

from stages.training.batching import epoch_order


def order(n: int = 64, *, n_per_step: int = 4, seed: int = 1, epoch: int = 0) -> list[int]:
    lengths = [(7 * index) % 50 for index in range(n)]
    return epoch_order(
        [f"p{index}" for index in range(n)], lengths, n_per_step=n_per_step, seed=seed, epoch=epoch
    )


@given(n=st.integers(0, 90), n_per_step=st.integers(1, 9), epoch=st.integers(0, 3))
def test_every_pair_is_read_once_an_epoch(n: int, n_per_step: int, epoch: int) -> None:
    assert sorted(order(n, n_per_step=n_per_step, epoch=epoch)) == list(range(n))


def test_equal_arguments_give_equal_orders() -> None:
    assert order() == order()


def test_epochs_and_seeds_differ() -> None:
    assert len({tuple(order(epoch=epoch)) for epoch in range(3)} | {tuple(order(seed=2))}) == 4


def test_steps_hold_similar_lengths() -> None:
    lengths = [(7 * index) % 50 for index in range(64)]
    batches = [order()[start : start + 4] for start in range(0, 64, 4)]
    spreads = [max(lengths[i] for i in batch) - min(lengths[i] for i in batch) for batch in batches]

    assert max(spreads) <= 5  # of 49 in all


def test_steps_are_not_read_from_long_to_short() -> None:
    lengths = [(7 * index) % 50 for index in range(64)]
    heads = [lengths[order()[start]] for start in range(0, 64, 4)]

    assert heads != sorted(heads, reverse=True)
    assert heads != sorted(heads)


def test_only_the_last_step_may_be_short() -> None:
    # 10 pairs in steps of 4: the two left over come last
    lengths = [9, 1, 8, 2, 7, 3, 6, 4, 5, 0]
    indices = epoch_order([str(i) for i in range(10)], lengths, n_per_step=4, seed=0, epoch=0)

    assert sorted(lengths[i] for i in indices[-2:]) == [0, 1]
