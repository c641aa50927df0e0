"""Stage `train`: the DPO policy.

Reads `models/base`, the train pairs and the base's log-probs; writes `models/policy` (an adapter, or
all weights) and `data/train/log.csv`. An interrupted run goes on from its last checkpoint.
"""

from stages import paths
from stages.core.base_manifest import MANIFEST
from stages.core.pairs import SplitPair
from stages.core.reference import match_reference
from stages.core.subset import first_rows
from stages.io import read_jsonl, replacing_folder, write_csv, write_json
from stages.params import load_params
from stages.progress import say
from stages.shell import run_stage

LOGGED = (
    "step", "epoch", "loss", "learning_rate", "grad_norm", "rewards/chosen", "rewards/rejected",
    "rewards/margins", "rewards/accuracies", "logps/chosen", "logps/rejected", "entropy",
    "chosen_drop", "chosen_collapsed",
)  # fmt: skip


def main() -> None:
    """Train, checking before the first step that the policy still is the base."""
    params = load_params()
    train, runtime = params.train, params.runtime
    pairs = first_rows(read_jsonl(paths.TRAIN_PAIRS, SplitPair), params.size.n_train, key="size.n_train")

    from stages.adapters import checkpoints, dpo
    from stages.adapters.checkpoint import base_sha256, load_model, load_tokenizer, use_threads
    from stages.adapters.reference_table import read_reference
    from stages.adapters.rendering import render_pairs

    use_threads(runtime)
    tokenizer = load_tokenizer(paths.BASE_MODEL)
    rendered = render_pairs(tokenizer, pairs, max_length=runtime.max_length, too_long=runtime.too_long)
    rows = match_reference(rendered, read_reference(paths.REFERENCE_LOGPS))
    inputs = [paths.BASE_MODEL / MANIFEST, paths.TRAIN_PAIRS, paths.REFERENCE_LOGPS]
    key = checkpoints.run_key(train, runtime, n_train=len(rows), inputs=inputs)
    with checkpoints.checkpoint_folder(key) as folder:
        model = load_model(paths.BASE_MODEL, None, runtime)
        trainer = dpo.build_trainer(model, tokenizer, rows, train=train, runtime=runtime, checkpoints=folder)
        dpo.check_step_zero(trainer, batch_size=runtime.score_batch_size, tolerance=runtime.margin_tolerance)
        say(f"train: {len(rows)} pairs; before the first step the policy equals the base")
        resume_from = checkpoints.last_whole_checkpoint(folder, dpo.CHECKPOINT_COMPLETE)
        dpo.train_policy(trainer, resume_from=resume_from)
        with replacing_folder(paths.POLICY_MODEL) as policy:
            dpo.save_policy(trainer, policy, base_name=paths.BASE_MODEL.as_posix())
            manifest = {
                "method": train.method,
                "base_sha256": base_sha256(paths.BASE_MODEL),
                "n_pairs": len(rows),
                "n_pairs_set_aside": len(pairs) - len(rows),
            }
            write_json(policy / "manifest.json", manifest)
        logged = [[row[name] for name in LOGGED] for row in dpo.log_rows(trainer)]
        write_csv(paths.TRAIN_LOG, LOGGED, logged)


if __name__ == "__main__":
    run_stage(main)
