import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.data.near_duplicates import MAX_MISS, N_BANDS, find_near_duplicates, rows_per_band
from stages.data.pair_rules import cluster_texts
from stages.data.shared_runs import RunLengths, link_shared_runs
from stages.data.texts import TextTable, count_words, normalise, text_key

words = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40)


def table_of(texts):
    table = TextTable()
    for text in texts:
        table.add(text)
    return table


def completions(table):
    return np.zeros(len(table), dtype=bool)


def runs(text, length):
    own = text.split()
    return {tuple(own[n : n + length]) for n in range(len(own) - length + 1)}


def slow_similarity(first, second):
    one, other = runs(first, 5), runs(second, 5)
    return len(one & other) / len(one | other) if one | other else 0.0


def slow_clusters(texts, linked):
    labels = list(range(len(texts)))
    for one, other in combinations(range(len(texts)), 2):
        if labels[one] != labels[other] and linked(texts[one], texts[other]):
            labels = [labels[one] if label == labels[other] else label for label in labels]
    return labels


def same_partition(one, other):
    return len(set(zip(one, other, strict=True))) == len(set(one)) == len(set(other))


@settings(max_examples=50)
@given(st.lists(words.map(" ".join), min_size=1, max_size=12, unique=True))
def test_shared_runs_are_those_of_all_pairs_compared(texts):
    table = table_of(texts)
    links = link_shared_runs(table, completions(table), RunLengths(4, 0))
    labels = cluster_texts(len(table), [(first, second, 1.0) for first, second in links.tolist()])
    slow = slow_clusters(texts, lambda one, other: bool(runs(one, 4) & runs(other, 4)))
    assert same_partition(labels.tolist(), slow)


def test_near_duplicates_are_those_of_all_pairs_compared():
    random = np.random.default_rng(7)
    texts = []
    for family in range(20):
        base = [f"f{family}w{n}" for n in range(int(random.integers(20, 120)))]
        texts.append(" ".join(base))
        for _ in range(6):
            changed = list(base)
            for place in random.integers(0, len(base), int(random.integers(1, 4))):
                changed[place] = f"x{random.integers(10**6)}"
            texts.append(" ".join(changed))
    table = table_of(texts)
    found = find_near_duplicates(table.words, table.ends, similarity=0.8)
    for one in found:
        assert one.similarity == pytest.approx(slow_similarity(texts[one.first], texts[one.second]))
        assert one.similarity >= 0.8
    slow = slow_clusters(texts, lambda one, other: slow_similarity(one, other) >= 0.8)
    assert same_partition(cluster_texts(len(table), found).tolist(), slow)
    assert len(set(slow)) < len(texts) - 20  # there was something to find


def templated(n, *, n_changed):
    """Texts of one template, each with a few words of its own."""
    random = np.random.default_rng(n)
    for _ in range(n):
        changed = [f"w{place}" for place in range(120)]
        for place in random.integers(0, 120, n_changed):
            changed[place] = f"x{random.integers(10**6)}"
        yield " ".join(changed)


@pytest.mark.parametrize("n_changed", [1, 3, 4])
def test_a_bucket_of_many_is_compared_as_two_by_two(n_changed):
    texts = list(templated(90, n_changed=n_changed))  # similarities on both sides of 0.8
    table = table_of(texts)
    found = find_near_duplicates(table.words, table.ends, similarity=0.8)
    for one in found:
        assert one.first < one.second
        assert one.similarity == pytest.approx(slow_similarity(texts[one.first], texts[one.second]))
    slow = slow_clusters(texts, lambda one, other: slow_similarity(one, other) >= 0.8)
    assert same_partition(cluster_texts(len(table), found).tolist(), slow)
    assert len(found) == len(texts) - len(set(slow))


@pytest.mark.parametrize("n_changed", [2, 5])
def test_a_thousand_texts_of_one_template_take_seconds(n_changed):
    table = table_of(templated(1000, n_changed=n_changed))
    start = time.process_time()
    find_near_duplicates(table.words, table.ends, similarity=0.8)
    assert time.process_time() - start < 10  # two by two: half a million comparisons, a minute


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.8, 0.95])
def test_the_bands_miss_next_to_nothing_at_the_limit(similarity):
    rows = rows_per_band(similarity)
    assert (1 - similarity**rows) ** N_BANDS < MAX_MISS
    assert (1 - similarity ** (rows + 1)) ** N_BANDS >= MAX_MISS or rows == 16


def test_a_text_of_fewer_words_than_a_run_is_no_near_duplicate():
    table = table_of(["one two three", "one two four", "", "!!!"])
    assert find_near_duplicates(table.words, table.ends, similarity=0.1) == []


def test_no_texts_have_no_links():
    table = TextTable()
    assert find_near_duplicates(table.words, table.ends, similarity=0.8) == []
    assert link_shared_runs(table, completions(table), RunLengths(13, 0)).shape == (0, 2)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Github  repo.", "GitHub repo"),
        ("“Quoted” text – here", '"quoted" text - here'),
        ("ﬁne", "fine"),
        ("soft\u00adhyphen", "softhyphen"),
        ("zero\u200bwidth", "zerowidth"),
        ("Straße", "STRASSE"),
        ("don’t", "don't"),
        ("cafe\u0301", "café"),
    ],
)
def test_texts_with_the_same_words_are_equal(one, other):
    assert normalise(one) == normalise(other)
    assert text_key(normalise(one)) == text_key(normalise(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [("10 sites", "12 sites"), ("cafe", "café"), ("a b", "b a"), ("!!!", "???"), ("कि", "की")],
)
def test_texts_with_other_words_differ(one, other):
    assert normalise(one) != normalise(other)


@given(st.text())
def test_normalising_twice_changes_nothing(text):
    assert normalise(normalise(text)) == normalise(text)


def test_words_are_counted_as_word_processors_do():
    assert count_words(" one  two-three\nfour ") == 3
