"""From what DVC knows of an experiment to the numbers that are set side by side."""

from functools import cache
from pathlib import Path

from stages.decision.writing_remark import WritingEvidence, parse_writing
from stages.files.io import read_jsonl
from stages.inference.generation.completions import Generation
from stages.run import paths
from stages.variants.experiments import Experiment, is_made_up
from stages.variants.variants import Variant, flatten_params, read_gates, read_selection

COMPLETIONS = paths.generations("policy").as_posix()
BASE_COMPLETIONS = paths.generations("base").as_posix()
AFTER_ACCURACY = (paths.GATE_METRICS.as_posix(), paths.WRITING_METRICS.as_posix())


def as_variant(experiment: Experiment, *, with_length: bool = True) -> Variant:
    """The experiment's numbers; the mean length is that of its cached completions."""
    length = mean_n_tokens(experiment.outs.get(COMPLETIONS)) if with_length else None
    base_length = mean_n_tokens(experiment.outs.get(BASE_COMPLETIONS)) if with_length else None
    metrics = experiment.metrics
    if scores_no_holdout(experiment):  # it ended before these, so its commit has them from another run
        metrics = {path: found for path, found in metrics.items() if path not in AFTER_ACCURACY}
    writing = parse_writing(metrics.get(paths.WRITING_METRICS.as_posix()))
    return Variant(
        name=experiment.name,
        rev=experiment.rev,
        params=flatten_params(experiment.params),
        gates=read_gates(metrics.get(paths.GATE_METRICS.as_posix())),
        selection=read_selection(metrics.get(paths.ACCURACY_METRICS.as_posix())),
        mean_n_tokens=length,
        length_ratio=length / base_length if length and base_length else None,
        made_up=writing.unsupported_per_100_words if isinstance(writing, WritingEvidence) else None,
        trained_on=experiment.trained_on,
        is_synthetic=is_made_up(experiment),
    )


def scores_no_holdout(experiment: Experiment) -> bool:
    """Is it a run that ends at the selection accuracy, as those of a learning curve?"""
    return flatten_params(experiment.params).get("size.n_holdout_scored") == "0"


@cache
def mean_n_tokens(completions: Path | None) -> float | None:
    """The mean length of cached completions in tokens; None where they are not at hand."""
    rows = read_jsonl(completions, Generation) if completions else []
    return sum(row.n_tokens for row in rows) / len(rows) if rows else None
