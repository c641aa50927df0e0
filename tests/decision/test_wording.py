from fractions import Fraction

import pytest

from stages.decision.wording import (
    count,
    in_hundred,
    in_words,
    listed,
    percent_of,
    plural,
    rounded,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction("68.333"), "68.3"),
        (Fraction(68), "68"),
        (Fraction("0.05"), "0.1"),  # half goes up
        (Fraction("-0.04"), "0"),
        (Fraction("-0.5"), "-0.5"),
        (Fraction(100), "100"),
        (Fraction(1, 3), "0.3"),
    ],
)
def test_one_decimal_at_most(value, text):
    assert rounded(value) == text


def test_whole_numbers_keep_their_zeros():
    assert rounded(Fraction(100), places=0) == "100"
    assert rounded(Fraction(70), places=0) == "70"
    assert rounded(Fraction("69.5"), places=0) == "70"


def test_a_number_beside_a_line_is_told_apart_from_it():
    line = Fraction("0.68")
    assert in_hundred(Fraction("0.67999"), apart_from=line) == "67.999"
    assert in_hundred(Fraction("0.67"), apart_from=line) == "67"
    assert in_hundred(line, apart_from=line) == "68"
    assert in_hundred(line + Fraction(1, 10**12), apart_from=line) == "68"  # gives up after six decimals


def test_words():
    assert [in_words(number) for number in (0, 3, 10, 11, 1200)] == ["no", "three", "ten", "11", "1,200"]
    assert [plural(1, "pair"), plural(2000, "pair")] == ["1 pair", "2,000 pairs"]
    assert [listed([]), listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"], conjunction="or")] == [
        "",
        "a",
        "a and b",
        "a, b or c",
    ]
    assert count(14042) == "14,042"
    assert percent_of(205, 300, "pairs") == "205 of 300 pairs (68.3\u202f%)"
