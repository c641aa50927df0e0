"""Stage `holdout`: the reward margin of every scored held-out and selection pair.

Reads `models/policy`, the split and the base's log-probs; writes `data/holdout/margins.jsonl`.
Renders and batches exactly as `reference` did, so an untouched policy gives margins of zero.
"""

from typing import Literal

from stages.files.io import read_jsonl, write_jsonl
from stages.files.pairs import SplitPair, first_rows, split_sha256
from stages.logprobs.margins import margin_row
from stages.logprobs.reference import match_reference
from stages.model.rendered import kept_pairs
from stages.run import paths, processes
from stages.run.params import load_params
from stages.run.shell import run_stage


def main() -> None:
    """Score the selection and holdout pairs under the policy."""
    params = load_params()
    selection = read_jsonl(paths.SELECTION_PAIRS, SplitPair)
    holdout = read_jsonl(paths.HOLDOUT_PAIRS, SplitPair)
    parts: dict[Literal["selection", "holdout"], list[SplitPair]] = {
        "selection": first_rows(selection, params.size.n_selection_scored, key="size.n_selection_scored"),
        "holdout": first_rows(holdout, params.size.n_holdout_scored, key="size.n_holdout_scored"),
    }
    split_hash = split_sha256(holdout)
    processes.start_scoring(params, module="stages.holdout")

    from stages.logprobs.reference_table import read_reference
    from stages.logprobs.scoring import prepare_for_scoring, score_pairs
    from stages.model.checkpoint import load_model, load_tokenizer
    from stages.model.rendering import render_pairs

    tokenizer = load_tokenizer(paths.BASE_MODEL)
    reference = read_reference(paths.REFERENCE_LOGPS)
    model = load_model(paths.BASE_MODEL, paths.POLICY_MODEL, params.runtime)
    prepare_for_scoring(model)
    rows = []
    for part, pairs in parts.items():
        rendered = render_pairs(
            tokenizer, pairs, max_length=params.rows.max_length, too_long=params.rows.too_long
        )
        base_rows = match_reference(rendered, reference)
        scored = score_pairs(
            model,
            rendered,
            pad_token_id=tokenizer.pad_token_id,
            batch_size=params.rows.score_batch_size,
            label=f"holdout, {part}",
        )
        rows += [
            margin_row(
                pair, part, base_row, *scored[pair.pair_id], beta=params.train.beta, split_sha256=split_hash
            )
            for pair, base_row in zip(kept_pairs(pairs, rendered), base_rows, strict=True)
        ]
    if processes.is_main_process():
        write_jsonl(paths.MARGINS, rows)


if __name__ == "__main__":
    run_stage(main)
