"""Reads data/split/{train,selection}.jsonl and metrics/split.json; writes data/labels/doubt.jsonl, the page
data/labels/report.html and metrics/labels.json. Says which labels a model of words would not have given. It
changes none, weighs none, and never looks at the held-out pairs.
"""

from typing import Literal

from stages.errors import InputError
from stages.files.io import read_json, read_jsonl, write_json, write_jsonl, write_text
from stages.files.numbers import percent
from stages.files.pairs import SplitPair
from stages.labelling.doubt import N_FOLDS, TooFewComponentsError, doubt_labels
from stages.labelling.ranking import Doubted, rank_by_doubt, suggest_smoothing
from stages.pages.html import link_pages, render_page
from stages.run import paths
from stages.run.params import load_params
from stages.run.progress import say
from stages.run.shell import run_stage


def main() -> None:
    """Rank the labels by doubt."""
    params = load_params()
    parts: dict[Literal["train", "selection"], list[SplitPair]] = {
        "train": read_jsonl(paths.TRAIN_PAIRS, SplitPair),
        "selection": read_jsonl(paths.SELECTION_PAIRS, SplitPair),
    }
    pairs = [pair for part in parts.values() for pair in part]
    try:
        found = doubt_labels(pairs, salt=params.split.salt)
    except TooFewComponentsError as error:
        raise InputError(
            f"{paths.TRAIN_PAIRS}: {len(pairs)} pairs make fewer than {N_FOLDS} parts that share no text, so "
            "no label can be doubted; add pairs of other prompts and groups"
        ) from error
    rows = rank_by_doubt(parts, found)
    of_id = {pair.pair_id: pair for pair in pairs}
    metrics = {
        "n_pairs": len(rows),
        "accuracy": round(found.accuracy, 6),
        **suggest_smoothing(read_json(paths.SPLIT_METRICS)["split"]["train_ceiling"]),
    }
    shown = [Doubted(of_id[row.pair_id], row.doubt) for row in rows[: params.labels.n_doubtful]]
    write_jsonl(paths.DOUBT, rows)
    page = render_page(
        "labelling/labels_report.html.j2",
        shown=shown,
        metrics=metrics,
        language=params.project.language,
        links=link_pages(paths.LABELS_REPORT),
    )
    write_text(paths.LABELS_REPORT, page)
    write_json(paths.LABELS_METRICS, {"labels": metrics})
    say(f"labels: {len(rows):,} ranked by doubt; a model of words predicts {percent(found.accuracy)} of them")


if __name__ == "__main__":
    run_stage(main)
