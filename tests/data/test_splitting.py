import json
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from stages.data.components import index_texts, label_components, link_texts, name_components
from stages.data.earlier_split import EarlierRow, LastSplit, match_earlier, refuse_redraw
from stages.data.forms.rows import RawRow
from stages.data.forms.tables import open_pairs
from stages.data.overlaps import count_overlaps
from stages.data.prompt_rules import check_prompts
from stages.data.shared_runs import RunLengths, find_shared_runs, link_shared_runs
from stages.data.splitting import (
    HoldoutSizeError,
    NothingToTrainError,
    choose_parts,
    fill_at_most,
    fill_exactly,
    nearest_sums,
)
from stages.data.texts import normalise
from stages.data.validation import check_pairs, read_whole
from stages.errors import InputError
from stages.files.pairs import PreferencePair, Prompt, SplitPair, split_sha256
from tests.support.pair_factory import check_raw, make_pair, make_raw, make_settings, make_text

LENGTHS = RunLengths(13, 40)
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
    if not possible:
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


def choose(components, **sizes):
    keys = [f"{place:016x}" for place in range(len(components))]
    return choose_parts(components, keys, salt="s", **sizes)


def test_a_holdout_that_no_components_add_up_to_names_the_nearest_sizes():
    # three components of 4 pairs: 4 and 8 are possible, 5 is not
    with pytest.raises(HoldoutSizeError) as caught:
        choose(["a"] * 4 + ["b"] * 4 + ["c"] * 4, n_holdout=5, n_selection=0)
    assert caught.value.nearest == (4, 8)
    assert caught.value.n_pairs == 12


@pytest.mark.parametrize(("n_holdout", "n_selection"), [(10, 0), (3, 7), (3, 100)])
def test_a_split_that_leaves_nothing_to_train_on_is_refused(n_holdout, n_selection):
    with pytest.raises(NothingToTrainError):
        choose([f"c{place}" for place in range(10)], n_holdout=n_holdout, n_selection=n_selection)


def test_the_holdout_takes_from_the_front_and_selection_from_the_end():
    parts = choose([f"c{place}" for place in range(10)], n_holdout=3, n_selection=6)
    assert sorted(parts.holdout) == [0, 1, 2]
    assert parts.train == [3]


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


def split(pairs, *, n_holdout, n_selection=0, salt="s", **earlier):
    texts = index_texts(pairs)
    links = link_texts(texts, similarity=0.8, lengths=LENGTHS)
    names = name_components(texts.item_keys, label_components(texts, links), salt=salt)
    return names, choose_parts(
        names, texts.item_keys, n_holdout=n_holdout, n_selection=n_selection, salt=salt, **earlier
    )


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
    labels = label_components(texts, link_texts(texts, similarity=0.8, lengths=LENGTHS)).tolist()
    found = {frozenset(p for p, own in enumerate(labels) if own == label) for label in set(labels)}
    assert found == slow_components(pairs)


@settings(max_examples=50)
@given(linked_pairs(), st.integers(1, 25))
def test_no_group_prompt_or_text_stands_on_two_sides(pairs, n_holdout):
    try:
        _, places = split(pairs, n_holdout=n_holdout)
    except (HoldoutSizeError, NothingToTrainError):
        return
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
    names_before, parts_before = split(before, n_holdout=20)
    names_after, parts_after = split(before + added, n_holdout=20)
    held_before = {names_before[place] for place in parts_before.holdout}
    held_after = {names_after[place] for place in parts_after.holdout}
    largest = max(names_after.count(name) for name in set(names_after))

    def members(names):
        return {name: {pair for pair, own in enumerate(names) if own == name} for name in set(names)}

    old, new = members(names_before), members(names_after)
    unchanged = {name for name in old if new.get(name) == old[name]}
    n_left = sum(len(old[name]) for name in unchanged & held_before - held_after)
    n_entered = sum(len(old[name]) for name in unchanged & held_after - held_before)
    n_newly_out = sum(len(new[name]) for name in held_after if name not in unchanged)
    n_gone = sum(len(old[name]) for name in held_before if name not in unchanged)
    assert n_left <= n_newly_out + largest
    assert n_entered <= n_gone + largest


@settings(max_examples=20)
@given(st.permutations(range(12)))
def test_the_order_of_the_rows_changes_nothing(order):
    pairs = [make_pair(number, group_id=f"g{number // 2}") for number in range(12)]
    _, parts = split(pairs, n_holdout=4, n_selection=2)
    shuffled = [
        make_pair(place, pair_id=f"row {row}", group_id=f"g{place // 2}") for row, place in enumerate(order)
    ]
    _, again = split(shuffled, n_holdout=4, n_selection=2)
    assert texts_of(pairs, parts) == texts_of(shuffled, again)


def texts_of(pairs, parts):
    return [[pairs[place].chosen for place in part] for part in parts]


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
    near_only = label_components(texts, link_texts(texts, similarity=0.8, lengths=RunLengths(0, 0))).tolist()
    assert near_only[0] == near_only[1] != near_only[2]
    assert (
        len(
            set(label_components(texts, link_texts(texts, similarity=0.9, lengths=RunLengths(0, 0))).tolist())
        )
        == 3
    )
    assert len(set(label_components(texts, link_texts(texts, similarity=0.8, lengths=LENGTHS)).tolist())) == 1
    assert (
        len(
            set(
                label_components(texts, link_texts(texts, similarity=0.8, lengths=RunLengths(14, 0))).tolist()
            )
        )
        == 2
    )


def overlaps(parts, fresh=()):
    rows = {
        name: [SplitPair(component_id=f"{name}{place}", **dict(pair)) for place, pair in enumerate(pairs)]
        for name, pairs in parts.items()
    }
    return count_overlaps(rows, fresh, similarity=0.8, lengths=LENGTHS).overlaps


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
    # a text that is nearly the same shares runs as well
    also = {"shared_runs"} if kind == "near_duplicates" else set()
    assert {name for name, count in found._asdict().items() if count} == {kind} | also
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
    proof = count_overlaps({"train": [row], "holdout": [other]}, [], similarity=0.8, lengths=LENGTHS)
    assert proof.overlaps.components == 1


def test_clean_sides_have_no_overlap():
    assert (
        sum(overlaps({"train": [make_pair(1)], "selection": [make_pair(3)], "holdout": [make_pair(2)]})) == 0
    )


def test_the_hash_tells_texts_apart_and_knows_no_order():
    pairs = [make_pair(1), make_pair(2)]
    assert split_sha256(pairs) == split_sha256(pairs[::-1])
    changed = PreferencePair(**{**dict(pairs[0]), "chosen": "Another text."})
    assert split_sha256([changed, pairs[1]]) != split_sha256(pairs)


@st.composite
def rows_with_repeats(draw):
    """Raw rows with equal texts in several rows, groups, and shared prompts."""
    rows = []
    for number in range(draw(st.integers(12, 30))):
        fields = {"group_id": f"g{draw(st.integers(0, 8))}"} if draw(st.booleans()) else {}
        rows.append(make_raw(number, **fields))
        if draw(st.integers(0, 2)) == 0:
            editor = f"e{draw(st.integers(0, 1))}"
            rows.append(
                {
                    **rows[-1],
                    "pair_id": f"again-{number}",
                    "editor": editor,
                    "chosen": rows[-1]["chosen"].upper(),
                }
            )
    return rows


def holdout_texts(rows):
    """Check the rows, keep what is kept, split it: the texts that are held out, in their order."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "pairs.jsonl")
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        table = open_pairs(path, {})
        raw, columns = list(table.rows), table.columns
    kept = check_pairs(raw, columns, make_settings()).rows.kept
    pairs = [read_whole(row, columns)[0].pair for row, keep in zip(raw, kept, strict=True) if keep]
    _, parts = split(pairs, n_holdout=5)
    return [(pairs[place].chosen, pairs[place].rejected) for place in parts.holdout]


@settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(rows_with_repeats(), st.randoms(use_true_random=False))
def test_shuffled_rows_with_other_ids_or_none_have_the_same_holdout(rows, random):
    shuffled = [{**row, "pair_id": f"row {place}"} for place, row in enumerate(rows)]
    random.shuffle(shuffled)
    try:
        expected = holdout_texts(rows)
    except (HoldoutSizeError, NothingToTrainError):
        return
    assert holdout_texts(shuffled) == expected
    without = [{name: value for name, value in row.items() if name != "pair_id"} for row in shuffled]
    assert holdout_texts(without) == expected


def test_a_prompt_that_holds_another_pairs_text_stays_with_it():
    text = make_text(400, n_words=20)
    pairs = [
        make_pair(1, chosen=text),
        make_pair(2, prompt=f"Improve this paragraph: {text}"),
        make_pair(3, prompt=make_text(6)),  # equal to a text of pair 3 itself
        make_pair(4, prompt=make_text(14)),  # a text of pair 7
        make_pair(7),
    ]
    names, _ = split(pairs, n_holdout=1)
    assert names[0] == names[1]
    assert names[3] == names[4]
    assert len(set(names)) == 3


def with_prompts(begin, n):
    return [make_pair(number, prompt=f"{begin} {make_text(500 + number)}") for number in range(n)]


def test_prompts_are_joined_by_long_runs_and_a_template_joins_none():
    source = make_text(300, n_words=45)
    names, _ = split(with_prompts(source, 3) + [make_pair(900 + n) for n in range(10)], n_holdout=2)
    assert len(set(names[:3])) == 1
    # the same 45 words in more than ten prompts are a template
    names, _ = split(with_prompts(source, 11), n_holdout=2)
    assert len(set(names)) == 11


def test_a_run_longer_than_every_text_is_looked_for_at_once():
    pairs = [make_pair(number) for number in range(3)]
    texts = index_texts(pairs)
    lengths = RunLengths(10**9, 10**9)
    assert not len(link_shared_runs(texts.table, texts.is_prompt, lengths))
    assert find_shared_runs([pairs[0].prompt], texts.table, texts.is_prompt, lengths) == {}


def test_runs_of_letters_join_texts_in_scripts_without_spaces():
    shared = "我们的项目将在三年内为二十个村庄建设图书馆并培训一百名志愿者教师和三十名管理员以及校长们"  # 44 letters
    pairs = [
        make_pair(1, chosen=f"首先，{shared}。最后我们会向所有的捐助者提交一份完整的年度报告"),
        make_pair(2, rejected=f"另外还有一件事情要说明：{shared}。谢谢大家的耐心阅读与支持"),
        make_pair(3, chosen="首先，我们的项目将在三年内为农民修路。"),  # fewer than 39 letters in common
    ]
    names, _ = split(pairs, n_holdout=1)
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ({"prompt": make_text(2)}, {"chosen": make_text(2)}, "prompts_among_texts"),
        (
            {"prompt": f"Improve: {make_text(2, n_words=20)}"},
            {"chosen": make_text(2, n_words=20)},
            "shared_runs",
        ),
    ],
)
def test_prompts_of_one_side_are_compared_with_texts_of_the_other(one, other, kind):
    found = overlaps({"train": [make_pair(5, **one)], "holdout": [make_pair(6, **other)]})
    assert {name for name, count in found._asdict().items() if count} == {kind}


def test_a_fresh_prompt_that_holds_words_of_a_text_is_counted():
    held = make_text(2, n_words=20)
    fresh = [Prompt(prompt_id="f", prompt=f"Improve this paragraph: {held}", synthetic=False)]
    assert (
        overlaps({"train": [make_pair(5, rejected=held)], "holdout": [make_pair(6)]}, fresh).fresh_prompts
        == 1
    )
    checked = check_raw([make_raw(5, rejected=held)])
    prompts = check_prompts(
        [RawRow(1, {"prompt_id": "f", "prompt": fresh[0].prompt})], checked.entries, make_settings()
    )
    assert [finding.rule for _, finding in prompts.rows.findings] == ["prompts_are_fresh"]
    assert "line 1 of the pairs holds" in prompts.rows.findings[0][1].found


def earlier_rows(pairs, parts):
    texts = index_texts(pairs)
    return [
        EarlierRow(pair_id=pairs[place].pair_id, item=texts.item_keys[place], part=name)
        for name in ("train", "selection", "holdout")
        for place in getattr(parts, name)
    ]


@settings(max_examples=30)
@given(st.data())
def test_what_was_held_out_stays_so_and_what_was_trained_on_is_never_held_out(data):
    before = [make_pair(number) for number in range(30)]
    _, parts = split(before, n_holdout=8, n_selection=4)
    rows = earlier_rows(before, parts)
    after = data.draw(st.permutations(before))[: data.draw(st.integers(22, 30))]
    after += [make_pair(100 + number) for number in range(20)]
    after.append(
        make_pair(200, group_id="g", chosen=before[parts.holdout[0]].chosen)
    )  # tied to a held-out pair
    texts = index_texts(after)
    earlier = match_earlier(rows, texts.item_keys, [pair.pair_id for pair in after])
    _, again = split(after, n_holdout=8, n_selection=4, salt="another", earlier=earlier)
    held_out = {before[place].pair_id for place in parts.holdout} & {pair.pair_id for pair in after}
    trained = {before[place].pair_id for place in [*parts.train, *parts.selection]}
    now = {after[place].pair_id for place in again.holdout}
    assert len(now) == 8
    assert held_out <= now
    assert not now & trained
    if before[parts.holdout[0]].pair_id in held_out:
        assert [after[place].pair_id for place in again.left_out] == ["p0200"]
    assert sorted(place for part in again for place in part) == list(range(len(after)))


def test_an_edited_pair_stays_where_its_id_was_and_a_swapped_label_where_its_texts_were():
    before = [make_pair(number) for number in range(6)]
    _, parts = split(before, n_holdout=2)
    rows = earlier_rows(before, parts)
    held = before[parts.holdout[0]]
    swapped = held.model_copy(update={"pair_id": "new id", "chosen": held.rejected, "rejected": held.chosen})
    edited = before[parts.holdout[1]].model_copy(update={"chosen": make_text(777)})
    after = [swapped, edited, *(before[place] for place in parts.train)]
    earlier = match_earlier(rows, index_texts(after).item_keys, [pair.pair_id for pair in after])
    assert (earlier.held_out, earlier.trained) == ({0, 1}, {2, 3, 4, 5})


def test_a_holdout_that_would_change_stops_with_both_ways_out():
    pairs = [make_pair(number) for number in range(12)]
    ids = [pair.pair_id for pair in pairs]
    _, parts = split(pairs, n_holdout=4)
    _, other = split(pairs, n_holdout=4, salt="another")
    keys, last = index_texts(pairs).item_keys, LastSplit("0123456789ab", earlier_rows(pairs, parts))
    refuse_redraw(last, parts, keys, ids, name="b" * 12, replaces=None)
    refuse_redraw(last, other, keys, ids, name="b" * 12, replaces="0123456789ab")
    refuse_redraw(None, other, keys, ids, name="b" * 12, replaces=None)
    with pytest.raises(InputError) as caught:
        refuse_redraw(last, other, keys, ids, name="b" * 12, replaces="c" * 12)
    n_lost = len(set(parts.holdout) - set(other.holdout))
    assert f"{n_lost} of 4 that are held out would no longer be" in str(caught.value)
    assert "bluepencil data keep" in str(caught.value)
    assert "split.replaces: 0123456789ab" in str(caught.value)
    with pytest.raises(InputError, match="not in the DVC cache"):
        refuse_redraw(LastSplit("0123456789ab", None), other, keys, ids, name="b" * 12, replaces=None)
