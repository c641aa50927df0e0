"""Rendered pairs: their hash, and the batches they are scored in."""

from hypothesis import given
from hypothesis import strategies as st

from stages.model.rendered import RenderedPair, render_sha256, similar_length_batches


def pair(name: str, prompt: int, chosen: int, rejected: int) -> RenderedPair:
    return RenderedPair(name, [1] * prompt, [2] * chosen, [3] * rejected)


def test_lengths_count_the_prompt_once() -> None:
    assert pair("a", 3, 5, 4).n_row_tokens == 12
    assert pair("a", 3, 5, 4).n_longest_tokens == 8
    assert pair("a", 3, 4, 5).n_longest_tokens == 8


def test_lengths_count_the_common_beginning_of_both_completions_once() -> None:
    apart = RenderedPair("a", [1, 1], [4, 5, 6, 7], [4, 5, 9])
    assert (apart.n_shared_tokens, apart.n_row_tokens) == (2, 7)
    longer = RenderedPair("b", [1], [4, 5], [4, 5, 6])
    assert (longer.n_shared_tokens, longer.n_row_tokens) == (2, 4)


def test_the_hash_depends_on_every_token_and_on_where_it_stands() -> None:
    pairs = [
        RenderedPair("a", [1, 2], [3], [4]),
        RenderedPair("a", [1], [2, 3], [4]),
        RenderedPair("a", [1, 2], [4], [3]),
        RenderedPair("a", [12], [3], [4]),
    ]
    assert len({render_sha256(one) for one in pairs}) == 4
    assert render_sha256(pairs[0]) == render_sha256(pairs[0]._replace(pair_id="b"))


def test_batches_go_from_long_to_short_and_break_ties_by_name() -> None:
    pairs = [pair("b", 1, 1, 1), pair("a", 1, 1, 1), pair("c", 9, 9, 9)]
    batches = list(similar_length_batches(pairs, batch_size=2))

    assert [[one.pair_id for one in batch] for batch in batches] == [["c", "a"], ["b"]]


@given(sizes=st.lists(st.integers(1, 30), max_size=20), batch_size=st.integers(1, 6))
def test_every_pair_is_in_one_batch_whatever_their_order(sizes: list[int], batch_size: int) -> None:
    pairs = [pair(f"p{i}", size, 1, 1) for i, size in enumerate(sizes)]
    batches = list(similar_length_batches(pairs, batch_size=batch_size))

    assert sorted(one.pair_id for batch in batches for one in batch) == sorted(one.pair_id for one in pairs)
    assert batches == list(similar_length_batches(pairs[::-1], batch_size=batch_size))
    assert all(len(batch) == batch_size for batch in batches[:-1])
