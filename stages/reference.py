"""Stage `reference`: the base's per-token log-probs of every completion, once for all variants.

Reads `models/base` and the split; writes `data/reference/logps.parquet`.
"""

from stages.files.io import read_jsonl
from stages.files.pairs import SplitPair, first_rows
from stages.logprobs.reference import ReferenceRow
from stages.run import paths, processes
from stages.run.params import load_params
from stages.run.shell import run_stage


def main() -> None:
    """Score every pair that this size learns from or measures."""
    params = load_params()
    parts = {
        "train": first_rows(
            read_jsonl(paths.TRAIN_PAIRS, SplitPair), params.size.n_train, key="size.n_train"
        ),
        "selection": first_rows(
            read_jsonl(paths.SELECTION_PAIRS, SplitPair),
            params.size.n_selection_scored,
            key="size.n_selection_scored",
        ),
        "holdout": first_rows(
            read_jsonl(paths.HOLDOUT_PAIRS, SplitPair),
            params.size.n_holdout_scored,
            key="size.n_holdout_scored",
        ),
    }
    processes.start_scoring(params, module="stages.reference")

    from stages.logprobs.reference_table import write_reference
    from stages.logprobs.scoring import prepare_for_scoring, score_pairs
    from stages.model.checkpoint import load_model, load_tokenizer
    from stages.model.rendering import render_pairs

    tokenizer = load_tokenizer(paths.BASE_MODEL)
    rendered = {
        part: render_pairs(tokenizer, pairs, max_length=params.rows.max_length, too_long=params.rows.too_long)
        for part, pairs in parts.items()
    }
    model = load_model(paths.BASE_MODEL, None, params.runtime)
    prepare_for_scoring(model)
    rows = []
    for part, pairs in rendered.items():  # scored apart, as `holdout` will, so that batches are the same
        scored = score_pairs(
            model,
            pairs,
            pad_token_id=tokenizer.pad_token_id,
            batch_size=params.rows.score_batch_size,
            label=f"reference, {part}",
        )
        rows += [ReferenceRow(*pair, *scored[pair.pair_id]) for pair in pairs]
    if processes.is_main_process():
        write_reference(paths.REFERENCE_LOGPS, rows)


if __name__ == "__main__":
    run_stage(main)
