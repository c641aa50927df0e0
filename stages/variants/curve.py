"""Experiments that differ in how many pairs were trained on, as one learning curve; the 300 take no part."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from stages.files.io import read_jsonl
from stages.logprobs.margins import MarginRow
from stages.measures.curve import Curve, Runs, measure_curve
from stages.measures.curve_groups import GroupGains, gains_by_group
from stages.run import paths
from stages.variants.experiments import MARGINS, Experiment
from stages.variants.variants import SEED, flatten_params

SELECTION = paths.SELECTION_PAIRS.as_posix()
SPLIT = paths.SPLIT_METRICS.as_posix()
ALL_TRAIN, PART = "size.n_train", "train.n_pairs"
# What may differ: the size, the luck, and what no selection pair's margin depends on.
MAY_DIFFER = frozenset({SEED, ALL_TRAIN, PART, "size.n_holdout_scored", "size.n_questions"})


class FoundCurve(NamedTuple):
    """A curve, the gains by section and editor, and what its runs have in common."""

    curve: Curve
    sections: GroupGains
    editors: GroupGains
    split_sha256: str
    is_synthetic: bool
    n_others: int  # curves with fewer runs, which are not shown


class NoCurve(NamedTuple):
    """Why there is none, as one sentence."""

    sentence: str


def find_curve(everything: Sequence[Experiment], *, tolerance: float) -> FoundCurve | NoCurve:
    """The curve with the most sizes, then the most runs."""
    groups: dict[object, dict[tuple[int, str], Experiment]] = defaultdict(dict)
    for one in everything:
        params = flatten_params(one.params)
        n_pairs = count_trained(one, params)
        if n_pairs is None or MARGINS not in one.outs:
            continue
        alike = frozenset((name, value) for name, value in params.items() if name not in MAY_DIFFER)
        key = (alike, one.trained_on, one.hashes.get(SELECTION))
        groups[key].setdefault((n_pairs, params.get(SEED, "")), one)
    curves = [group for group in groups.values() if len({n for n, _ in group}) > 1]
    if not curves:
        return NoCurve(
            "No two runs differ in how many pairs they were trained on, and in their seed, alone; "
            "`bluepencil curve --run` makes such runs."
        )
    best = max(curves, key=lambda group: (len({n for n, _ in group}), len(group)))
    return read_curve(best, tolerance=tolerance, n_others=len(curves) - 1)


def count_trained(experiment: Experiment, params: Mapping[str, str]) -> int | None:
    """How many pairs it was trained on; None where that is not known."""
    split = experiment.metrics.get(SPLIT, {}).get("split", {})
    there = split.get("n_train") if isinstance(split, Mapping) else None
    known = [int(params[name]) for name in (PART, ALL_TRAIN) if params.get(name, "").isdigit()]
    return min([*known, *([there] if isinstance(there, int) else [])], default=None)


def read_curve(
    group: Mapping[tuple[int, str], Experiment], *, tolerance: float, n_others: int
) -> FoundCurve | NoCurve:
    """Read the margins of one group's runs and measure them."""
    margins = {
        key: sorted(
            (row for row in read_jsonl(one.outs[MARGINS], MarginRow) if row.part == "selection"),
            key=lambda row: row.pair_id,
        )
        for key, one in group.items()
    }
    rows = next(iter(margins.values()))
    names = [row.pair_id for row in rows]
    if not names or any([row.pair_id for row in other] != names for other in margins.values()):
        return NoCurve("The runs were scored on no selection pairs, or on different ones.")
    runs = [
        make_runs(n, [found for (size, _), found in margins.items() if size == n], tolerance=tolerance)
        for n in sorted({n for n, _ in group})
    ]
    clusters = [row.component_id for row in rows]
    return FoundCurve(
        curve=measure_curve(runs, clusters),
        sections=gains_by_group(runs, [row.section for row in rows], clusters),
        editors=gains_by_group(runs, [row.editor for row in rows], clusters),
        split_sha256=rows[0].split_sha256,
        is_synthetic=any(row.synthetic for row in rows),
        n_others=n_others,
    )


def make_runs(n_pairs: int, margins: Sequence[Sequence[MarginRow]], *, tolerance: float) -> Runs:
    """All seeds of one size; loss is -log sigma(margin)."""
    table = np.array([[row.margin for row in rows] for rows in margins])
    return Runs(n_pairs, (table > tolerance).astype(float), np.logaddexp(0.0, -table))


def default_sizes(n: int) -> list[int]:
    """A quarter, a half, all."""
    return sorted({math.ceil(n / 4), math.ceil(n / 2), n})
