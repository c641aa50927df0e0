"""Variants side by side: what differs, who ranks where, and what choosing among them costs.

Variants are ranked by `selection.accuracy`, never by the held-out pairs. Each look at the held-out
pairs is counted; if the best of m looks is chosen by them, its interval must hold for all m at
once, so each is drawn at 1 - 0.05 / m (Bonferroni). That holds whatever the looks share.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from stages.decision.verdicts import StoredGates, parse_gates
from stages.decision.writing_remark import Rate
from stages.measures.intervals import Interval, clustered_wilson

LEVEL = 0.05


class Selection(NamedTuple):
    """`selection` of metrics/accuracy.json: the share that variants are ranked by."""

    accuracy: float
    low: float | None  # None where all pairs belong together
    high: float | None
    n: int


class Variant(NamedTuple):
    """One experiment. `gates`, `selection` and `mean_n_tokens` are None where they were not measured."""

    name: str
    rev: str
    params: dict[str, str]
    gates: StoredGates | None
    selection: Selection | None
    mean_n_tokens: float | None
    length_ratio: float | None = None  # mean tokens of its completions over those of the base
    made_up: Rate | None = None  # figures and names that no prompt gave, in 100 words
    trained_on: str | None = None  # hash of all that `train` read, code included
    is_synthetic: bool = False  # some of its texts are made up


def flatten_params(params: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters as `train.beta: 0.1`; a list as it is written."""
    flat: dict[str, str] = {}
    for key, value in params.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(flatten_params(value, f"{name}."))
        else:
            flat[name] = str(value)
    return flat


def read_gates(document: Mapping[str, Any] | None) -> StoredGates | None:
    """The verdicts of an experiment, or None where it has none that can be read."""
    try:
        return parse_gates(document) if document else None
    except ValueError:
        return None


def read_selection(document: Mapping[str, Any] | None) -> Selection | None:
    """The selection part of metrics/accuracy.json, or None where it is not there in full."""
    part = (document or {}).get("selection")
    if not isinstance(part, Mapping) or not {"accuracy", "n"} <= part.keys():
        return None
    return Selection(part["accuracy"], part.get("low"), part.get("high"), part["n"])


def rank_variants(variants: Iterable[Variant]) -> list[Variant]:
    """The best `selection.accuracy` first; what has none comes last; equal ones by name."""
    return sorted(
        variants,
        key=lambda one: (
            one.selection is None,
            -(one.selection.accuracy if one.selection else 0.0),
            one.name,
        ),
    )


def differing_params(variants: Sequence[Variant]) -> dict[str, list[str]]:
    """Each parameter that is not the same everywhere, with its value in every variant (or `–`)."""
    names = sorted({name for variant in variants for name in variant.params})
    values = {name: [variant.params.get(name, "–") for variant in variants] for name in names}
    return {name: row for name, row in values.items() if len(set(row)) > 1}


def interval_after_choosing(
    wins: Sequence[float], clusters: Sequence[str], *, n_looks: int
) -> Interval | None:
    """The accuracy's 95 % interval that still holds if this variant was picked as the best of `n_looks`.

    None where all pairs belong to one cluster.
    """
    return clustered_wilson(wins, clusters, confidence=1 - LEVEL / max(n_looks, 1))


def on_the_frontier(variants: Sequence[Variant]) -> set[str]:
    """Names of variants that none beats in both accuracy (higher) and drop (lower)."""
    points = {
        one.name: (one.gates.accuracy.value, -one.gates.capability.value)
        for one in variants
        if one.gates and one.gates.accuracy.value is not None and one.gates.capability.value is not None
    }
    return {
        name
        for name, mine in points.items()
        if not any(other != mine and other[0] >= mine[0] and other[1] >= mine[1] for other in points.values())
    }


SEED = "train.seed"


class Candidate(NamedTuple):
    """Its runs, the best selection accuracy first; `mean` and `spread` are None where no run has one."""

    runs: list[Variant]
    n_scored: int
    mean: float | None
    spread: Interval | None  # the lowest and the highest of its runs


def rank_candidates(variants: Iterable[Variant]) -> list[Candidate]:
    """The best mean first; what has none comes last; of equal ones, that with the better best run."""
    groups: dict[object, list[Variant]] = {}
    for variant in rank_variants(variants):
        groups.setdefault(_all_but_the_seed(variant), []).append(variant)
    candidates = [summarize_runs(runs) for runs in groups.values()]
    return sorted(candidates, key=lambda one: (one.mean is None, -(one.mean or 0.0)))


def summarize_runs(runs: Sequence[Variant]) -> Candidate:
    """One candidate of runs that are in their rank."""
    shares = [run.selection.accuracy for run in runs if run.selection]
    if not shares:
        return Candidate([*runs], 0, None, None)
    return Candidate([*runs], len(shares), fmean(shares), Interval(min(shares), max(shares)))


def _all_but_the_seed(variant: Variant) -> object:
    """Equal for runs of one candidate: the parameters, and what was trained on by which code."""
    settings = frozenset((name, value) for name, value in variant.params.items() if name != SEED)
    return settings, variant.trained_on
