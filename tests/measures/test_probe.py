"""Both models on the probe set: what rose, what fell, and what is refused."""

import math

import pytest

from stages.measures.probe import ProbeError, prompt_table, sort_rows, summarise, text_table
from tests.support.probe_factory import make_rows

LOOP = "The cat is here. " * 10


def test_equal_models_differ_by_nothing() -> None:
    found = summarise(sort_rows(make_rows()), sort_rows(make_rows()))
    assert found["base"] == found["policy"]
    assert found["perplexity_rise"] == {"value": 0, "low": 0, "high": 0}
    assert found["following_drop"]["value"] == 0
    assert found["following_drop"]["low"] < 0 < found["following_drop"]["high"]


def test_perplexity_is_the_exponential_of_the_mean_surprise() -> None:
    base = sort_rows(make_rows())
    # text k has (200 + k) nats on 100 tokens; the mean of 0..23 is 11.5
    assert summarise(base, base)["base"]["perplexity"] == pytest.approx(math.exp(2.115))
    worse = summarise(base, sort_rows(make_rows(logp=-210.0)))
    # every text costs 0.1 nats a token more: a ratio of exp(0.1), the same in all texts
    for end in ("value", "low", "high"):
        assert worse["perplexity_rise"][end] == pytest.approx(math.expm1(0.1))
    assert text_table(base, sort_rows(make_rows(logp=-210.0)))[0][-1] == pytest.approx(math.expm1(0.1))


def test_swapping_the_models_mirrors_what_is_lost() -> None:
    base, policy = sort_rows(make_rows()), sort_rows(make_rows(completion=LOOP))
    there, back = summarise(base, policy), summarise(policy, base)
    assert there["following_drop"]["value"] == pytest.approx(-back["following_drop"]["value"]) != 0
    assert there["repetition_rise"]["value"] == pytest.approx(-back["repetition_rise"]["value"])
    # LOOP: 40 words, 37 runs of four, of which four differ
    assert there["repetition_rise"]["value"] == pytest.approx(1 - 4 / 37)
    assert [row[5] for row in prompt_table(base, policy)] == [pytest.approx(1 - 4 / 37)] * 24


def test_other_settings_are_not_compared() -> None:
    found = summarise(sort_rows(make_rows()), sort_rows(make_rows(config_sha256="d")))
    assert found == {"same_items": False, "reason": "the models were probed under different configurations"}


def test_rows_that_are_not_the_probe_set_are_refused() -> None:
    rows = make_rows()
    with pytest.raises(ProbeError, match=r"23 texts, 24 were expected \(missing: \['news-ferry'\]"):
        sort_rows(rows[1:])
    with pytest.raises(ProbeError, match="25 prompts, 24 were expected"):
        sort_rows([*rows, rows[-1]])
    with pytest.raises(ProbeError, match="0 texts"):
        sort_rows([])
    with pytest.raises(ProbeError, match="more than one configuration"):
        sort_rows([*rows[:-1], *make_rows(config_sha256="d")[-1:]])
