"""`python -m benchmarks.dpo [--smoke]`: DPO training against stock TRL, on the same pairs, model and loss.

Needs models/base (`dvc repro base_model`). Pairs: 64 of the sample corpus, or all of the JSONL file
that BENCH_PAIRS names. Every arm is a process of its own (benchmarks/dpo_arm.py); the arms take turns
every few pairs, so that a machine that slows down slows down all of them.

- losses: both train on the same batches in the same order, fp32, dropout 0, a step each
  batch; the curves must agree. Their peak memory is that of equal batches.
- speed: each in its own order. TRL's defaults compute the reference in every step, with the adapter
  switched off. TRL's best flags are looked for first, by timing each of `CANDIDATES`. They are timed once
  more in a process that keeps the memory it frees, as ours does: no flag of TRL's, but to be had.

A ratio is one of sums over all pairs: each arm has its own order, so that the median block of one is other
pairs than that of another, and leaves out what padding to a long pair costs. `median_` beside it is one of
medians over blocks, which a moment of other work on the machine disturbs less.
Writes benchmarks/results/dpo.json.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from benchmarks.dpo_arms import Arm, alternate, total_seconds
from stages.errors import RuntimeCheckError
from stages.files.io import read_jsonl, write_json
from stages.files.pairs import PreferencePair
from stages.model.rendered import RenderedPair
from stages.run import paths
from stages.run.params import Params, load_params
from stages.run.progress import say
from stages.run.shell import run_stage
from stages.training.batching import epoch_order

RESULTS = Path("benchmarks/results/dpo.json")
N_PAIRS = 64
N_LOSS_PAIRS = 24
PAIRS_PER_STEP = 8  # of every arm, so that all take as many optimizer steps; TRL's default batch
LOSS_TOLERANCE = 1e-3
BEST = {
    "precompute_ref_log_probs": True,
    "gradient_checkpointing": False,  # a third less arithmetic, for more memory
    "train_sampling_strategy": "group_by_length",
    "logging_steps": 1,
}
CANDIDATES = [
    BEST | {"per_device_train_batch_size": size, "gradient_accumulation_steps": PAIRS_PER_STEP // size}
    for size in (1, 2, 4, 8)
]
NOT_KNOWN: dict[str, Any] = {
    "editor": None,
    "group_id": None,
    "section": None,
    "reviewed_at": None,
    "chosen_shown": None,
    "synthetic": False,
}
NOT_TRIED = {
    "padding_free": "TRL 1.16 switches it off for DPO, with a warning",
    "use_liger_kernel": "Triton kernels: CUDA only",
    "torch_compile": "compiles anew for each new length",
    "bf16": "TRL's default; off in every arm, so that losses are comparable",
}


class PairText(BaseModel):
    """What is read of a pair; other keys are passed over."""

    prompt: str
    chosen: str
    rejected: str


def main() -> None:
    """Run all arms and write what came out."""
    smoke = sys.argv[1:] == ["--smoke"]
    params = load_params()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        if smoke:
            from benchmarks.dpo_smoke import smoke_setting

            params, base, pairs = smoke_setting(params, work)
        else:
            base, pairs = paths.BASE_MODEL, read_pairs(params, os.environ.get("BENCH_PAIRS"))
        results = measure(params, base, pairs, work, n_loss_pairs=min(N_LOSS_PAIRS, len(pairs)))
    if smoke:
        say("benchmarks.dpo: every part ran; a smoke run's numbers mean nothing and are not written")
    else:
        write_json(RESULTS, results)


def read_pairs(params: Params, file: str | None) -> list[RenderedPair]:
    """The named file, or pairs spread evenly over the sample corpus, as token ids."""
    from stages.model.checkpoint import load_tokenizer
    from stages.model.rendering import render_pairs

    texts = read_jsonl(Path(file or "data/sample/pairs.jsonl"), PairText)
    rows = [
        PreferencePair(pair_id=f"b{number:05}", **text.model_dump(), **NOT_KNOWN)
        for number, text in enumerate(texts)
    ]
    if file is None:
        rows = rows[:: len(rows) // N_PAIRS][:N_PAIRS]
    rows = rows[: len(rows) // PAIRS_PER_STEP * PAIRS_PER_STEP]  # whole steps only
    if len(rows) < 2 * PAIRS_PER_STEP:
        raise RuntimeCheckError(f"BENCH_PAIRS: at least {2 * PAIRS_PER_STEP} pairs are needed")
    return render_pairs(
        load_tokenizer(paths.BASE_MODEL), rows, max_length=params.rows.max_length, too_long="refuse"
    )


def measure(
    params: Params, base: Path, pairs: list[RenderedPair], work: Path, *, n_loss_pairs: int
) -> dict[str, Any]:
    """All parts, one after the other; see benchmarks/dpo_report.py for what the numbers are."""
    from benchmarks.dpo_report import describe

    size = params.train.per_device_train_batch_size
    train = params.train.model_copy(
        update={
            "num_train_epochs": 1.0,
            "logging_steps": 1,
            "gradient_accumulation_steps": max(PAIRS_PER_STEP // size, 1),
        }
    )
    setting = {"base": base, "work": work, "params": params.model_copy(update={"train": train})}

    say("benchmarks.dpo: losses, the same batches in the same order")
    longest_first = sorted(pairs, key=lambda pair: -pair.n_row_tokens)
    some = longest_first[:: len(pairs) // n_loss_pairs][:n_loss_pairs]
    order = epoch_order(
        [pair.pair_id for pair in some],
        [pair.n_row_tokens for pair in some],
        n_per_step=size,
        seed=train.seed,
        epoch=0,
    )
    # more steps to drift apart in
    every_batch = params.model_copy(
        update={"train": train.model_copy(update={"gradient_accumulation_steps": 1})}
    )
    same = BEST | {
        "precompute_ref_log_probs": False,
        "train_sampling_strategy": "sequential",
        "per_device_train_batch_size": size,
    }
    loss_arms = [
        Arm("ours, losses", "ours", some, **setting | {"params": every_batch}),
        Arm("TRL, losses", "trl", [some[index] for index in order], flags=same, **setting),
    ]
    alternate(loss_arms)
    refuse_other_losses(*(arm.losses for arm in loss_arms))

    say("benchmarks.dpo: looking for TRL's best flags")
    trials = [
        Arm(
            f"TRL, batch {flags['per_device_train_batch_size']}",
            "trl",
            pairs[: 2 * PAIRS_PER_STEP],
            flags=flags,
            **setting,
        )
        for flags in CANDIDATES
    ]
    alternate(trials)
    best = CANDIDATES[min(range(len(trials)), key=lambda number: total_seconds(trials[number], "train"))]

    say("benchmarks.dpo: speed, each in its own order")
    arms = [
        Arm("ours, reference", "reference", pairs, **setting),
        Arm("ours", "ours", pairs, **setting),
        Arm("TRL, defaults", "trl", pairs, **setting),
        Arm("TRL, best flags", "trl", pairs, flags=best, **setting),
        Arm("TRL, best flags, memory kept", "trl", pairs, flags=best, keeps_memory=True, **setting),
    ]
    alternate(arms)
    for arm in arms[1:]:
        seconds = total_seconds(arm, "train") / len(pairs)
        say(f"benchmarks.dpo: {arm.name}: {seconds:.2f} s a pair to train")
    return describe(
        pairs=pairs, params=params, losses=loss_arms, trials=trials, arms=arms, best=best, not_tried=NOT_TRIED
    )


def refuse_other_losses(found: list[float], expected: list[float]) -> None:
    """RuntimeCheckError where a loss differs: then the arms do not train the same thing."""
    worst = max(abs(one - other) for one, other in zip(found, expected, strict=True))
    if not worst <= LOSS_TOLERANCE:
        raise RuntimeCheckError(
            f"benchmarks.dpo: losses differ by {worst:.2e}, allowed is {LOSS_TOLERANCE}; "
            f"ours {found}, TRL {expected}"
        )


if __name__ == "__main__":
    run_stage(main)
