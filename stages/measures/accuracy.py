"""Held-out preference accuracy, its interval, and the trivial rules it must be compared with.

Definitions: docs/statistics.md. A margin within the tolerance counts as zero, and zero is not a win.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple, TypeVar

import numpy as np

from stages.errors import InputError
from stages.logprobs.margins import MarginRow, Part
from stages.measures.baselines import (
    base_prefers_chosen_per_token,
    compare_preferences,
    compare_with_length,
    is_length_matched,
    longer_wins,
    share_of,
)
from stages.measures.calibration import brier_score, calibration_slope
from stages.measures.intervals import clustered_wilson, effective_n, wilson_interval

PLACE = "data/holdout/margins.jsonl"
WAY_OUT = "run `dvc repro holdout`"
N_IDS_SHOWN = 5

Number = TypeVar("Number", bound=float | int | str)


class Share(NamedTuple):
    """k of n, with a 95 % interval, unless all are of one component; k is not whole where a rule ties."""

    k: float
    n: int
    value: float
    low: float | None
    high: float | None


def check_rows(rows: Sequence[MarginRow]) -> None:
    """InputError where a pair stands twice, nothing was scored, or rows stem from several splits."""
    twice = sorted(name for name, n in Counter(row.pair_id for row in rows).items() if n > 1)
    if twice:
        raise InputError(f"{PLACE}: pairs stand twice: {_named(twice)}; {WAY_OUT}")
    if not rows:
        raise InputError(f"{PLACE}: no pair was scored; {WAY_OUT}")
    if len({row.split_sha256 for row in rows}) != 1:
        raise InputError(f"{PLACE}: rows of several splits; {WAY_OUT}")


def check_complete(
    rows: Sequence[MarginRow], expected: Mapping[Part, Sequence[str]], *, split_sha256: str
) -> None:
    """InputError unless exactly the `expected` pairs of the present split were scored.

    A share over the rows that happen to be there would be a number computed from half the data.
    """
    if rows[0].split_sha256 != split_sha256:
        raise InputError(f"{PLACE}: belongs to another split than data/split/holdout.jsonl; {WAY_OUT}")
    for part, names in expected.items():
        scored = {row.pair_id for row in rows_of(rows, part)}
        missing = [name for name in names if name not in scored]
        extra = sorted(scored - set(names))
        if missing or extra:
            said = [f"{len(missing)} of {len(names)} pairs are missing ({_named(missing)})"] * bool(missing)
            said += [f"{len(extra)} pairs were not asked for ({_named(extra)})"] * bool(extra)
            raise InputError(f"{PLACE}: {part}: {' and '.join(said)}; {WAY_OUT}")


def rows_of(rows: Sequence[MarginRow], part: Part) -> list[MarginRow]:
    """The rows of one part."""
    return [row for row in rows if row.part == part]


def is_win(row: MarginRow, tolerance: float) -> bool:
    """True where the policy moved towards the editors' choice by more than the tolerance."""
    return row.margin > tolerance


def settle_margin(row: MarginRow, tolerance: float) -> float:
    """The margin, or 0 within the tolerance."""
    return row.margin if abs(row.margin) > tolerance else 0.0


def accuracy(rows: Sequence[MarginRow], tolerance: float) -> Share:
    """Share of pairs with a positive margin, with a Wilson interval at the effective size."""
    wins = [float(is_win(row, tolerance)) for row in rows]
    return share_with_interval(wins, [row.component_id for row in rows])


def share_with_interval(values: Sequence[float], components: Sequence[str]) -> Share:
    """The mean of values in [0, 1], with a Wilson interval at the effective size."""
    low, high = clustered_wilson(values, components) or (None, None)
    return Share(sum(values), len(values), sum(values) / len(values), low, high)


def summarise(
    rows: Sequence[MarginRow], tolerance: float, *, min_share: Fraction
) -> dict[str, Mapping[str, float | int | str]]:
    """All of `metrics/accuracy.json`; what was not scored has no part."""
    holdout, selection = rows_of(rows, "holdout"), rows_of(rows, "selection")
    return {
        **({"holdout": summarise_holdout(holdout, tolerance, min_share=min_share)} if holdout else {}),
        **({"selection": summarise_selection(selection, tolerance)} if selection else {}),
    }


def summarise_holdout(
    rows: Sequence[MarginRow], tolerance: float, *, min_share: Fraction
) -> dict[str, float | int | str]:
    """The `holdout` block of `metrics/accuracy.json`; `k_needed` is the least k with k > min_share x n.

    What has no interval has no `low`, `high` and `n_eff`.
    """
    share = accuracy(rows, tolerance)
    plain = wilson_interval(share.k, share.n)
    components = [row.component_id for row in rows]
    found: dict[str, float | int | str | None] = {
        "k": int(share.k),
        "n": share.n,
        "k_needed": int(min_share * share.n) + 1,
        "accuracy": share.value,
        "low": share.low,
        "high": share.high,
        "wilson_low": plain.low,
        "wilson_high": plain.high,
        "n_eff": effective_n([float(is_win(row, tolerance)) for row in rows], components),
        "n_components": len(set(components)),
        "n_zero_margins": sum(abs(row.margin) <= tolerance for row in rows),
        "n_synthetic": sum(row.synthetic for row in rows),
        "mean_margin": float(np.mean([row.margin for row in rows])),
        "brier": brier_score(rows),
        "split_sha256": rows[0].split_sha256,
        **_beside_length(rows, tolerance),
        **_beside_the_base(rows),
        **_slope(rows, tolerance),
    }
    return _known(found)


def _known(numbers: Mapping[str, Number | None]) -> dict[str, Number]:
    """Without what could not be computed: DVC drops nulls."""
    return {name: number for name, number in numbers.items() if number is not None}


def _beside_length(rows: Sequence[MarginRow], tolerance: float) -> dict[str, float | int | None]:
    """What length alone gets right, how much better the margins are, and both lengths alike."""
    longer = longer_wins(rows)
    above = compare_with_length(rows, lambda row: is_win(row, tolerance))
    found: dict[str, float | int | None] = {
        "longer_wins": max(longer, 1 - longer),
        "longer_wins_share": longer,
        "above_longer_wins": above.value,
        "above_longer_wins_low": above.low,
        "above_longer_wins_high": above.high,
    }
    matched = [row for row in rows if is_length_matched(row)]
    found["n_length_matched"] = len(matched)
    if matched:
        share = accuracy(matched, tolerance)
        found |= {
            "accuracy_length_matched": share.value,
            "accuracy_length_matched_low": share.low,
            "accuracy_length_matched_high": share.high,
        }
    return found


def _beside_the_base(rows: Sequence[MarginRow]) -> dict[str, float | int]:
    """Whose log-prob is higher for the editors' choice: base, policy, and the change between them."""
    preference = compare_preferences(rows)
    return {
        "base_preference": preference.base,
        "base_preference_per_token": share_of(rows, base_prefers_chosen_per_token),
        "policy_preference": preference.policy,
        "preference_gain": preference.difference.value,
        "preference_gain_low": preference.difference.low,
        "preference_gain_high": preference.difference.high,
        "n_preference_gained": preference.difference.n_up,
        "n_preference_lost": preference.difference.n_down,
        "preference_p_mcnemar": preference.difference.p_mcnemar,
    }


def _slope(rows: Sequence[MarginRow], tolerance: float) -> dict[str, float]:
    """The calibration slope, or nothing where none is the most likely."""
    slope = calibration_slope(rows, tolerance)
    if slope is None:
        return {}
    return {
        "calibration_slope": slope.value,
        "calibration_slope_low": slope.low,
        "calibration_slope_high": slope.high,
    }


def summarise_selection(rows: Sequence[MarginRow], tolerance: float) -> dict[str, float | int]:
    """The `selection` block: what variants are ranked by."""
    share = accuracy(rows, tolerance)
    numbers = {"k": int(share.k), "n": share.n, "accuracy": share.value, "low": share.low, "high": share.high}
    return _known(numbers)


def _named(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > N_IDS_SHOWN else ""
    return ", ".join(names[:N_IDS_SHOWN]) + more
