"""Stage `accuracy`: held-out preference accuracy with its interval.

Reads `data/holdout/margins.jsonl` and which pairs should stand there; writes `metrics/accuracy.json`
and the tables that `dvc plots` draws in `data/accuracy/`.
"""

from collections.abc import Iterable
from typing import NamedTuple

from stages.files.io import read_jsonl, replacing_folder, write_csv, write_json
from stages.files.json_text import as_written
from stages.files.pairs import SplitPair, first_rows, split_sha256
from stages.logprobs.margins import MarginRow, Part
from stages.measures.accuracy import check_complete, check_rows, rows_of, settle_margin, summarise
from stages.measures.accuracy_tables import (
    HistogramBin,
    Slice,
    margin_histogram,
    rules_beside,
    slices,
    summarise_votes,
)
from stages.measures.calibration import Bin, calibration
from stages.run import paths
from stages.run.params import AllOrCount, load_params
from stages.run.shell import run_stage

SHARE_COLUMNS = ["kind", "name", "k", "n", "accuracy", "low", "high"]


class Tables(NamedTuple):
    """The rows of each table about the held-out pairs."""

    histogram: list[HistogramBin]
    calibration: list[Bin]
    slices: list[Slice]
    rules: list[Slice]


def main() -> None:
    """Turn margins into shares."""
    params = load_params()
    tolerance, min_share = params.watch.margin_tolerance, params.limits.accuracy.min_share
    rows = read_margins(n_selection=params.size.n_selection_scored, n_holdout=params.size.n_holdout_scored)
    holdout = rows_of(rows, "holdout")
    pairs = {pair.pair_id: pair for pair in read_jsonl(paths.HOLDOUT_PAIRS, SplitPair)}

    found = summarise(rows, tolerance, min_share=as_written(min_share))
    tables = Tables([], [], [], [])  # with size.n_holdout_scored 0 each has a header only
    if holdout:
        found["holdout"] = {**found["holdout"], **summarise_votes(holdout, tolerance, pairs)}
        tables = Tables(
            margin_histogram(holdout),
            calibration(holdout, tolerance),
            slices(holdout, tolerance, pairs),
            rules_beside(holdout, tolerance),
        )
    with replacing_folder(paths.ACCURACY_PLOTS) as folder:
        margins = [[row.pair_id, settle_margin(row, tolerance)] for row in holdout]
        write_csv(folder / "margins.csv", ["pair_id", "margin"], margins)
        write_csv(folder / "histogram.csv", HistogramBin._fields, tables.histogram)
        write_csv(folder / "calibration.csv", Bin._fields, tables.calibration)
        write_csv(folder / "slices.csv", SHARE_COLUMNS, flatten(tables.slices))
        write_csv(folder / "rules.csv", SHARE_COLUMNS, flatten(tables.rules))
    write_json(paths.ACCURACY_METRICS, found)


def read_margins(*, n_selection: AllOrCount, n_holdout: AllOrCount) -> list[MarginRow]:
    """The margins; InputError unless they are those of exactly the pairs that this size scores."""
    rows = read_jsonl(paths.MARGINS, MarginRow)
    check_rows(rows)
    selection = read_jsonl(paths.SELECTION_PAIRS, SplitPair)
    holdout = read_jsonl(paths.HOLDOUT_PAIRS, SplitPair)
    expected: dict[Part, list[str]] = {
        "selection": ids_of(first_rows(selection, n_selection, key="size.n_selection_scored")),
        "holdout": ids_of(first_rows(holdout, n_holdout, key="size.n_holdout_scored")),
    }
    check_complete(rows, expected, split_sha256=split_sha256(holdout))
    return rows


def ids_of(pairs: Iterable[SplitPair]) -> list[str]:
    """The pairs' ids in their order."""
    return [pair.pair_id for pair in pairs]


def flatten(found: Iterable[Slice]) -> list[list[object]]:
    """One row of SHARE_COLUMNS a slice."""
    return [[one.kind, one.name, *one.share] for one in found]


if __name__ == "__main__":
    run_stage(main)
