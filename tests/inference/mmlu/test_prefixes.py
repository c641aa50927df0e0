from hypothesis import given
from hypothesis import strategies as st

from stages.inference.mmlu.option_rows import group_by_prefix, n_common, split_batches

prompts = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12).map(tuple), max_size=12)


@given(prompts=prompts, min_shared=st.integers(1, 5))
def test_every_prompt_is_in_one_group_and_starts_with_what_it_shares(
    prompts: list[tuple[int, ...]], min_shared: int
) -> None:
    groups = group_by_prefix(prompts, min_shared=min_shared)
    assert sorted(place for group in groups for place in group.members) == list(range(len(prompts)))
    for n_shared, members in groups:
        assert len({prompts[place][:n_shared] for place in members}) <= 1
        assert all(len(prompts[place]) > n_shared for place in members)


def test_prompts_of_one_subject_share_their_examples() -> None:
    anatomy, virology = (1,) * 70, (2,) * 80
    prompts = [(*anatomy, 5, 6), (*virology, 5), (*anatomy, 7), (3, 4), (*virology, 6, 6)]
    groups = {group.n_shared: sorted(group.members) for group in group_by_prefix(prompts, min_shared=64)}
    assert groups == {70: [0, 2], 80: [1, 4], 0: [3]}


def test_equal_prompts_leave_one_token_to_run() -> None:
    assert group_by_prefix([(1, 2, 3), (1, 2, 3)], min_shared=2) == [(2, [0, 1])]


def test_shared_tokens_are_counted_from_the_start() -> None:
    assert n_common((1, 2, 3), (1, 2, 4, 3)) == 2
    assert n_common((1, 2), (1, 2, 4)) == 2
    assert n_common((), (1,)) == 0


@given(lengths=st.lists(st.integers(1, 50), max_size=30), max_tokens=st.integers(1, 120))
def test_batches_hold_every_row_once_within_the_budget(lengths: list[int], max_tokens: int) -> None:
    batches = split_batches(lengths, max_tokens=max_tokens)
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[place] for place in batch) <= max_tokens


def test_batches_put_rows_of_like_length_together() -> None:
    assert split_batches([3, 9, 4, 8], max_tokens=18) == [[1, 3], [2, 0]]
