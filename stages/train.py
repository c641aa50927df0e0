"""Stage `train`: the DPO policy.

Reads `models/base`, the train pairs and the base's log-probs; writes `models/policy` (an adapter, or
all weights) and `data/train/log.csv`. An interrupted run goes on from its last checkpoint.
`processes.accelerate_config` says how many processes do it; the first of them writes.
"""

from pathlib import Path

from stages.files.io import read_jsonl, replacing_folder, write_csv, write_json
from stages.files.pairs import SplitPair, first_rows
from stages.logprobs.reference import match_reference
from stages.model.manifest import MANIFEST
from stages.run import paths, processes
from stages.run.params import load_params
from stages.run.progress import say
from stages.run.shell import run_stage


def main() -> None:
    """Train, checking before the first step that the policy still is the base."""
    params = load_params()
    train, runtime, config = params.train, params.runtime, Path(params.processes.accelerate_config)
    there = first_rows(read_jsonl(paths.TRAIN_PAIRS, SplitPair), params.size.n_train, key="size.n_train")
    pairs = first_rows(there, train.n_pairs, key="train.n_pairs")

    processes.start_training(config, runtime, module="stages.train")
    runtime = processes.share_threads(runtime)

    from stages.logprobs.reference_table import read_reference
    from stages.model.checkpoint import base_sha256, load_model, load_tokenizer
    from stages.model.device import use_threads
    from stages.model.rendering import render_pairs
    from stages.training import checkpoints, dpo
    from stages.training.watch import LOGGED

    use_threads(runtime)
    tokenizer = load_tokenizer(paths.BASE_MODEL)
    rendered = render_pairs(
        tokenizer, pairs, max_length=params.rows.max_length, too_long=params.rows.too_long
    )
    rows = match_reference(rendered, read_reference(paths.REFERENCE_LOGPS))
    inputs = [paths.BASE_MODEL / MANIFEST, paths.TRAIN_PAIRS, paths.REFERENCE_LOGPS, config]
    key = checkpoints.run_key(train, runtime, params.rows, n_train=len(rows), inputs=inputs)
    with checkpoints.checkpoint_folder(key) as folder:
        model = load_model(paths.BASE_MODEL, None, runtime)
        trainer = dpo.build_trainer(
            model, tokenizer, rows, train=train, runtime=runtime, watch=params.watch, checkpoints=folder
        )
        dpo.check_step_zero(
            trainer, batch_size=params.rows.score_batch_size, tolerance=params.watch.margin_tolerance
        )
        say(f"train: {len(rows):,} pairs; before the first step the policy equals the base")
        resume_from = checkpoints.where_to_resume(folder)
        dpo.train_policy(trainer, resume_from=resume_from)
        weights = dpo.gather_weights(trainer)
        if processes.is_main_process():
            manifest = {
                "method": train.method,
                "base_sha256": base_sha256(paths.BASE_MODEL),
                "n_pairs": len(rows),
                "n_pairs_set_aside": len(pairs) - len(rows),
            }
            with replacing_folder(paths.POLICY_MODEL) as policy:
                dpo.save_policy(trainer, policy, base_name=paths.BASE_MODEL.as_posix(), weights=weights)
                write_json(policy / MANIFEST, manifest)
            log = [[row[name] for name in LOGGED] for row in dpo.log_rows(trainer)]
            write_csv(paths.TRAIN_LOG, LOGGED, log)


if __name__ == "__main__":
    run_stage(main)
