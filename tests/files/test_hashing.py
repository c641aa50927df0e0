"""Draws derived from names."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from stages.files.hashing import digest, hash_settings, hex_digest, seed, uniform


def test_the_digest_is_sha256_of_the_parts_each_closed_by_nul() -> None:
    assert digest("ab", "c") == hashlib.sha256(b"ab\0c\0").digest()
    assert hex_digest("ab", "c") == hashlib.sha256(b"ab\0c\0").hexdigest()
    assert digest("ab", "c") != digest("a", "bc")


def test_settings_have_one_hash_whatever_the_order_of_their_keys() -> None:
    assert hash_settings({"a": 1, "b": None}) == hash_settings({"b": None, "a": 1})
    assert hash_settings({"a": 1, "b": None}) != hash_settings({"a": 2, "b": None})
    assert hash_settings({"a": 1}, {"b": 2}) != hash_settings({"b": 2}, {"a": 1})


@given(st.text(), st.text())
def test_draws_stay_in_their_range(salt: str, name: str) -> None:
    assert 0 <= uniform(salt, name) < 1
    assert 0 <= seed(salt, name) < 2**63


def test_draws_are_spread_evenly() -> None:
    draws = [uniform("salt", str(number)) for number in range(2000)]
    # mean 1/2 with standard error 0.0065; variance 1/12
    assert abs(sum(draws) / 2000 - 0.5) < 0.03
    assert abs(sum((draw - 0.5) ** 2 for draw in draws) / 2000 - 1 / 12) < 0.01
