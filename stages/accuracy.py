"""Stage `accuracy`: held-out preference accuracy with its interval.

Reads `data/holdout/margins.jsonl`; writes `metrics/accuracy.json` and tables to plot in `data/accuracy/`.
"""

from collections.abc import Mapping

from stages import paths
from stages.core.accuracy import (
    calibration,
    check_rows,
    rows_of,
    slices,
    summarise_holdout,
    summarise_selection,
)
from stages.core.margins import MarginRow
from stages.io import read_jsonl, replacing_folder, write_csv, write_json
from stages.params import load_params
from stages.shell import run_stage


def main() -> None:
    """Turn margins into shares."""
    tolerance = load_params().runtime.margin_tolerance
    rows = read_jsonl(paths.MARGINS, MarginRow)
    check_rows(rows)
    holdout, selection = rows_of(rows, "holdout"), rows_of(rows, "selection")

    metrics: dict[str, Mapping[str, float | int | str]] = {"holdout": summarise_holdout(holdout, tolerance)}
    if selection:
        metrics["selection"] = summarise_selection(selection, tolerance)
    with replacing_folder(paths.ACCURACY_PLOTS) as folder:
        write_csv(
            folder / "margins.csv", ["pair_id", "margin"], [[row.pair_id, row.margin] for row in holdout]
        )
        write_csv(folder / "calibration.csv", ["predicted", "observed", "n"], calibration(holdout))
        write_csv(
            folder / "slices.csv",
            ["kind", "name", "k", "n", "accuracy", "low", "high"],
            [[kind, name, *share] for kind, name, share in slices(holdout, tolerance)],
        )
    write_json(paths.ACCURACY_METRICS, metrics)


if __name__ == "__main__":
    run_stage(main)
