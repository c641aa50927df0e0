"""Taking the first rows."""

import pytest

from stages.errors import InputError
from stages.files.pairs import first_rows


def test_the_first_rows_are_taken_or_all() -> None:
    assert first_rows("abc", 2, key="k") == ["a", "b"]
    assert first_rows("abc", 3, key="k") == ["a", "b", "c"]
    assert first_rows("abc", "all", key="k") == ["a", "b", "c"]


def test_more_than_there_are_is_refused_with_both_numbers() -> None:
    with pytest.raises(InputError, match=r"size\.n_train: 4 wanted, 3 there"):
        first_rows("abc", 4, key="size.n_train")


def test_a_smaller_part_stands_inside_a_larger_one():
    rows = list(range(100))
    parts = [first_rows(rows, n, key="train.n_pairs") for n in (25, 50, "all")]
    assert parts[0] == parts[1][:25] == parts[2][:25]
    assert parts[1] == parts[2][:50]
