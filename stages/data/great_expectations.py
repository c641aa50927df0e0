"""Runs the rules as a Great Expectations suite on one derived row per pair or prompt.

The frame holds numbers and flags, no texts: one column per rule, see `core.derived_rows`. Great
Expectations counts and judges; its counts must equal the rows of `violations.jsonl`, see `core.data_verdict`.
"""

import logging
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from stages.data.rules import RULES, RuleSetting

Frame = Mapping[str, NDArray[Any]]

N_DECIMALS = 12  # 1 - 0.58 is 0.42000000000000004, which 42 of 100 would miss


class WordLimits(NamedTuple):
    """The fewest and the most words of a text."""

    low: int
    high: int


class Outcome(NamedTuple):
    """What Great Expectations found for one rule."""

    rule: str
    n_violations: int
    success: bool


def run_suite(
    name: str, frame: Frame, settings: Mapping[str, RuleSetting], words: WordLimits
) -> list[Outcome]:
    """Run one expectation per column of `frame`, which is named as its rule.

    A rule succeeds when no more than its allowed share of the rows break it.
    """
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own deprecations are no concern of the data's owner
        gx = _import_quietly()
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        suite = context.suites.add(gx.ExpectationSuite(name=name))
        for rule in frame:
            suite.add_expectation(_expectation(gx, rule, settings[rule], words))
        asset = context.data_sources.add_pandas(name).add_dataframe_asset(name)
        batch = asset.add_batch_definition_whole_dataframe(name)
        result = batch.get_batch({"dataframe": pd.DataFrame(dict(frame))}).validate(
            suite, result_format="BASIC"
        )
    return [_outcome(one) for one in result.results]


def _import_quietly() -> Any:
    import os

    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    import great_expectations as gx

    return gx


def _expectation(gx: Any, rule: str, setting: RuleSetting, words: WordLimits) -> Any:
    common = {
        "column": rule,
        "mostly": round(1 - setting.allowed_share, N_DECIMALS),
        "severity": "critical" if setting.severity == "error" else "warning",
        "meta": {"rule": rule, "sentence": RULES[rule].sentence},
    }
    if rule == "required_fields_are_filled":
        return gx.expectations.ExpectColumnValuesToNotBeNull(**common)
    if rule == "pair_ids_are_unique":
        return gx.expectations.ExpectColumnValuesToBeUnique(**common)
    if rule == "word_counts_are_within_limits":
        return gx.expectations.ExpectColumnValuesToBeBetween(
            min_value=words.low, max_value=words.high, **common
        )
    return gx.expectations.ExpectColumnValuesToBeInSet(value_set=[True], **common)


def _outcome(result: Any) -> Outcome:
    rule = result.expectation_config.meta["rule"]
    if result.exception_info.get("raised_exception"):
        raise RuntimeError(f"{rule}: Great Expectations failed: {result.exception_info}")
    return Outcome(rule, int(result.result["unexpected_count"]), bool(result.success))
