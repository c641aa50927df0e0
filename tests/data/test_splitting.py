from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.data.components import index_texts, label_components, link_texts, name_components
from stages.data.overlaps import count_overlaps
from stages.data.splitting import (
    HoldoutSizeError,
    choose_sides,
    divide_rows,
    fill_at_most,
    fill_exactly,
    nearest_sums,
)
from stages.data.texts import normalise
from stages.files.pairs import PreferencePair, Prompt, SplitPair, split_sha256
from tests.support.pair_factory import make_pair, make_text

sizes_of_components = st.lists(st.integers(1, 7), min_size=1, max_size=9)


def named(sizes):
    return {f"c{place:03d}": size for place, size in enumerate(sizes)}


def all_exact_sets(sizes, wanted):
    names = list(sizes)
    return [
        frozenset(some)
        for n in range(1, len(names) + 1)
        for some in combinations(names, n)
        if sum(sizes[name] for name in some) == wanted
    ]


@given(sizes_of_components, st.integers(1, 30))
def test_the_earliest_of_all_exact_sets_is_taken(counts, wanted):
    sizes = named(counts)
    possible = all_exact_sets(sizes, wanted)
    if not possible or sum(counts) <= wanted:
        with pytest.raises(HoldoutSizeError):
            fill_exactly(sizes, wanted)
        return
    earliest = min(possible, key=lambda some: [name not in some for name in sizes])
    assert fill_exactly(sizes, wanted) == earliest


def test_a_large_component_is_no_likelier_to_come_first():
    # 200 components of ten pairs and 200 of one: the mean place of the large ones is near the middle
    ids = [f"l{n}-{member}" for n in range(200) for member in range(10)] + [f"s{n}" for n in range(200)]
    labels = np.array([int(one[1:].split("-")[0]) + (200 if one[0] == "s" else 0) for one in ids])
    names = name_components(ids, labels, salt="s")
    order = sorted(set(names))
    large = {name for name, one in zip(names, ids, strict=True) if one[0] == "l"}
    mean_place = np.mean([order.index(name) for name in large]) / len(order)
    assert abs(mean_place - 0.5) < 0.07  # standard error 0.29 / sqrt(200) = 0.02


@given(sizes_of_components, st.integers(1, 30))
def test_the_nearest_sizes_are_those_of_a_search_through_all_subsets(counts, wanted):
    sums = {sum(some) for n in range(1, len(counts) + 1) for some in combinations(counts, n)}
    sums = {size for size in sums if 0 < size < sum(counts)}
    below = [max((size for size in sums if size < wanted), default=None)]
    above = [min((size for size in sums if size > wanted), default=None)]
    assert nearest_sums(counts, wanted) == [size for size in below + above if size is not None]


def test_a_holdout_that_no_components_add_up_to_names_the_nearest_sizes():
    # three components of 4 pairs: 4 and 8 are possible, 5 is not
    with pytest.raises(HoldoutSizeError) as caught:
        choose_sides(["a"] * 4 + ["b"] * 4 + ["c"] * 4, n_holdout=5, n_selection=0)
    assert caught.value.nearest == (4, 8)
    assert caught.value.n_pairs == 12


def test_holding_out_every_pair_is_refused():
    with pytest.raises(HoldoutSizeError):
        choose_sides(["a", "b"], n_holdout=2, n_selection=0)


def test_selection_takes_from_the_end_and_leaves_something_to_train_on():
    sides = choose_sides([f"c{place}" for place in range(10)], n_holdout=3, n_selection=100)
    assert sides.holdout == {"c0", "c1", "c2"}
    assert len(sides.selection) == 6
    assert "c3" not in sides.selection


def test_what_does_not_fit_is_passed_over():
    assert fill_at_most({"a": 3, "b": 5, "c": 2}, 6) == {"a", "c"}


@st.composite
def linked_pairs(draw):
    """Pairs that often share a group, a prompt or a text, with filler of single pairs."""
    n = draw(st.integers(2, 40))
    shared = st.integers(0, 12)
    pairs = []
    for number in range(n):
        fields = {}
        if draw(st.booleans()):
            fields["group_id"] = f"g{draw(shared)}"
        if draw(st.integers(0, 3)) == 0:
            fields["chosen"] = make_text(1000 + draw(shared))
        if draw(st.integers(0, 3)) == 0:
            fields["prompt"] = f"PROMPT {draw(shared)}!"
        pairs.append(make_pair(number, **fields))
    return pairs


def split(pairs, *, n_holdout, salt="s"):
    texts = index_texts(pairs)
    links = link_texts(texts.table, similarity=0.8, n_shared_words=13)
    names = name_components([pair.pair_id for pair in pairs], label_components(texts, links), salt=salt)
    return names, choose_sides(names, n_holdout=n_holdout, n_selection=5)


def slow_components(pairs):
    """Merge sets of pairs until no two share anything: the definition."""
    keys = [
        {("p", normalise(pair.prompt)), ("t", normalise(pair.chosen)), ("t", normalise(pair.rejected))}
        | ({("g", pair.group_id)} if pair.group_id else set())
        for pair in pairs
    ]
    groups = [({place}, set(own)) for place, own in enumerate(keys)]
    merged = True
    while merged:
        merged = False
        for one, other in combinations(groups, 2):
            if one[1] & other[1]:
                groups.remove(other)
                one[0].update(other[0])
                one[1].update(other[1])
                merged = True
                break
    return {frozenset(members) for members, _ in groups}


@settings(max_examples=50)
@given(linked_pairs())
def test_components_are_those_of_the_definition(pairs):
    texts = index_texts(pairs)
    labels = label_components(texts, link_texts(texts.table, similarity=0.8, n_shared_words=13)).tolist()
    found = {frozenset(p for p, own in enumerate(labels) if own == label) for label in set(labels)}
    assert found == slow_components(pairs)


@settings(max_examples=50)
@given(linked_pairs(), st.integers(1, 25))
def test_no_group_prompt_or_text_stands_on_two_sides(pairs, n_holdout):
    try:
        names, sides = split(pairs, n_holdout=n_holdout)
    except HoldoutSizeError:
        return
    places = divide_rows([pair.pair_id for pair in pairs], names, sides, salt="s")
    assert len(places.holdout) == n_holdout
    assert sorted(place for part in places for place in part) == list(range(len(pairs)))
    parts = [[pairs[place] for place in part] for part in places]
    for one, other in combinations(parts, 2):
        for first in one:
            for second in other:
                assert first.group_id is None or first.group_id != second.group_id
                assert normalise(first.prompt) != normalise(second.prompt)
                mine = {normalise(first.chosen), normalise(first.rejected)}
                assert not mine & {normalise(second.chosen), normalise(second.rejected)}


@settings(max_examples=40)
@given(st.data())
def test_adding_pairs_moves_only_changed_components_and_what_keeps_the_size(data):
    """Bound: a component of at most S pairs leaves only for pairs that came in, plus the last one's S.

    With enough single pairs, the two walks through the order differ only from where fewer than S
    places are left, so at most S pairs enter, and at most S plus the newly held out pairs leave.
    """
    before = data.draw(linked_pairs()) + [make_pair(number) for number in range(200, 260)]
    added = [make_pair(500 + number) for number in range(data.draw(st.integers(1, 30)))]
    for place in range(data.draw(st.integers(0, 5))):
        donor = data.draw(st.sampled_from(before))
        added.append(make_pair(900 + place, chosen=donor.chosen))
    names_before, sides_before = split(before, n_holdout=20)
    names_after, sides_after = split(before + added, n_holdout=20)
    largest = max(names_after.count(name) for name in set(names_after))

    def members(names):
        return {name: {pair for pair, own in enumerate(names) if own == name} for name in set(names)}

    old, new = members(names_before), members(names_after)
    unchanged = {name for name in old if new.get(name) == old[name]}
    n_left = sum(len(old[name]) for name in unchanged & sides_before.holdout - sides_after.holdout)
    n_entered = sum(len(old[name]) for name in unchanged & sides_after.holdout - sides_before.holdout)
    n_newly_out = sum(len(new[name]) for name in sides_after.holdout if name not in unchanged)
    n_gone = sum(len(old[name]) for name in sides_before.holdout if name not in unchanged)
    assert n_left <= n_newly_out + largest
    assert n_entered <= n_gone + largest


@settings(max_examples=20)
@given(st.permutations(range(12)))
def test_the_order_of_the_rows_changes_nothing(order):
    pairs = [make_pair(number, group_id=f"g{number // 2}") for number in range(12)]
    names, sides = split(pairs, n_holdout=4)
    shuffled = [pairs[place] for place in order]
    again, sides_again = split(shuffled, n_holdout=4)
    assert sides == sides_again
    assert ordered_ids(pairs, names, sides) == ordered_ids(shuffled, again, sides_again)


def ordered_ids(pairs, names, sides):
    ids = [pair.pair_id for pair in pairs]
    return [[ids[place] for place in part] for part in divide_rows(ids, names, sides, salt="s")]


def test_near_duplicates_and_shared_runs_join_pairs():
    long = [f"word{place}" for place in range(60)]
    near = [*long[:30], "changed", *long[31:]]  # 56 runs of five words each, 51 shared: 51/61 = 0.84
    within = ["other", *long[10:23], "ending"]  # 13 shared words
    pairs = [
        make_pair(1, chosen=" ".join(long)),
        make_pair(2, chosen=" ".join(near)),
        make_pair(3, rejected=" ".join(within)),
    ]
    texts = index_texts(pairs)
    assert len(set(label_components(texts, None).tolist())) == 3
    near_only = label_components(texts, link_texts(texts.table, similarity=0.8, n_shared_words=0)).tolist()
    assert near_only[0] == near_only[1] != near_only[2]
    assert (
        len(set(label_components(texts, link_texts(texts.table, similarity=0.9, n_shared_words=0)).tolist()))
        == 3
    )
    assert (
        len(set(label_components(texts, link_texts(texts.table, similarity=0.8, n_shared_words=13)).tolist()))
        == 1
    )
    assert (
        len(set(label_components(texts, link_texts(texts.table, similarity=0.8, n_shared_words=14)).tolist()))
        == 2
    )


def overlaps(parts, fresh=()):
    rows = {
        name: [SplitPair(component_id=f"{name}{place}", **dict(pair)) for place, pair in enumerate(pairs)]
        for name, pairs in parts.items()
    }
    return count_overlaps(rows, fresh, similarity=0.8)


@pytest.mark.parametrize(
    ("kind", "other"),
    [
        ("texts", {"rejected": make_text(2).upper()}),
        ("prompts", {"prompt": "write about subject, number 1 please"}),
        ("groups", {"group_id": "g"}),
        ("near_duplicates", {"chosen": make_text(2, n_words=60)[:-9] + " fin."}),
    ],
)
def test_every_kind_of_overlap_is_counted(kind, other):
    first = make_pair(
        1, group_id="g", chosen=make_text(2, n_words=60) if kind == "near_duplicates" else make_text(2)
    )
    found = overlaps({"train": [first], "holdout": [make_pair(2, **other)]})
    assert {name for name, count in found._asdict().items() if count} == {kind}
    assert getattr(found, kind) == 1


def test_a_fresh_prompt_that_a_pair_has_is_counted():
    fresh = [
        Prompt(prompt_id="f", prompt=text, synthetic=False)
        for text in ("WRITE about subject number 1, please", "new")
    ]
    assert overlaps({"train": [make_pair(1)], "holdout": [make_pair(2)]}, fresh).fresh_prompts == 1


def test_a_component_on_two_sides_is_counted():
    row = SplitPair(component_id="c", **dict(make_pair(1)))
    other = SplitPair(component_id="c", **dict(make_pair(2)))
    assert count_overlaps({"train": [row], "holdout": [other]}, [], similarity=0.8).components == 1


def test_clean_sides_have_no_overlap():
    assert (
        sum(overlaps({"train": [make_pair(1)], "selection": [make_pair(3)], "holdout": [make_pair(2)]})) == 0
    )


def test_the_hash_tells_texts_apart_and_knows_no_order():
    pairs = [make_pair(1), make_pair(2)]
    assert split_sha256(pairs) == split_sha256(pairs[::-1])
    changed = PreferencePair(**{**dict(pairs[0]), "chosen": "Another text."})
    assert split_sha256([changed, pairs[1]]) != split_sha256(pairs)
