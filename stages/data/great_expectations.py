"""The rules a second time, as a Great Expectations suite on one derived row per pair or prompt.

The frame holds numbers and flags, no texts: one column per rule. Its counts and verdicts must equal
those of `rules.judge_rules`.
"""

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.data.rules import N_DECIMALS, RULES, RuleResult, RuleSetting
from stages.data.validation import CheckedPairs, Settings

Frame = Mapping[str, NDArray[Any]]


class Outcome(NamedTuple):
    """What Great Expectations found for one rule."""

    rule: str
    n_violations: int
    success: bool


def confirm_results(name: str, frame: Frame, results: Sequence[RuleResult], settings: Settings) -> None:
    """Let Great Expectations count and judge the same rows; RuntimeError where it finds something else."""
    expected = {one.rule: (one.n_violations, one.passed) for one in results}
    found = {one.rule: (one.n_violations, one.success) for one in run_suite(name, frame, settings)}
    if differing := [rule for rule in expected if found.get(rule) != expected[rule]]:
        raise RuntimeError(
            f"Great Expectations and the rules differ on the {name}: "
            + "; ".join(
                f"{rule}: {found.get(rule)}, {expected[rule]} came by the rules" for rule in differing
            )
        )


def derive_frame(pairs: CheckedPairs) -> dict[str, NDArray[np.generic]]:
    """Flags that a rule holds, except: null where a required field is, the id's number, a word count.

    An id number of its own gets a row without a pair, and one whose id no row with other texts has.
    """
    holds = pairs.rows.holds
    ids = -1 - np.arange(pairs.rows.n_rows, dtype=np.int64)
    judged = np.array(pairs.row_of_entry, dtype=np.int64)
    numbers, items = pairs.entries.column("id"), pairs.item_of_judged[: len(judged)]
    several = np.unique(np.stack([numbers, items]), axis=1)[0]  # an id once for each item that has it
    shared = np.isin(numbers, several[1:][np.diff(several) == 0])
    ids[judged[shared]] = numbers[shared]
    measured: dict[str, NDArray[np.generic]] = {
        "required_fields_are_filled": np.where(holds["required_fields_are_filled"], 1.0, np.nan),
        "pair_ids_are_unique": ids,
        "word_counts_are_within_limits": np.array(pairs.n_words, dtype=np.int64),
    }
    return {rule: measured.get(rule, flags) for rule, flags in holds.items()}


def run_suite(name: str, frame: Frame, settings: Settings) -> list[Outcome]:
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
            suite.add_expectation(_expectation(gx, rule, settings.rules[rule], settings))
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


def _expectation(gx: Any, rule: str, setting: RuleSetting, limits: Settings) -> Any:
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
            min_value=limits.min_words, max_value=limits.max_words, **common
        )
    return gx.expectations.ExpectColumnValuesToBeInSet(value_set=[True], **common)


def _outcome(result: Any) -> Outcome:
    rule = result.expectation_config.meta["rule"]
    if result.exception_info.get("raised_exception"):
        raise RuntimeError(f"{rule}: Great Expectations failed: {result.exception_info}")
    return Outcome(rule, int(result.result["unexpected_count"]), bool(result.success))
