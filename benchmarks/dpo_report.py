"""What `benchmarks.dpo` measured, under the names of benchmarks/results/dpo.json."""

import importlib.metadata
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from benchmarks.dpo_arms import Arm, seconds_per_pair, total_seconds
from stages.model.rendered import RenderedPair
from stages.run.params import Params

LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate")


def describe(
    *,
    pairs: Sequence[RenderedPair],
    params: Params,
    losses: Sequence[Arm],
    trials: Sequence[Arm],
    arms: Sequence[Arm],
    best: Mapping[str, Any],
    not_tried: Mapping[str, str],
) -> dict[str, Any]:
    """All numbers of one run; seconds are wall seconds unless named otherwise."""
    reference, ours, default, best_arm, keeping_arm = arms
    ours_losses, trl_losses = losses
    return {
        "ratio_vs_trl_default": total_seconds(default, "train")
        / (total_seconds(reference, "reference") + total_seconds(ours, "check", "train")),
        "ratio_vs_trl_best": total_seconds(best_arm, "train") / total_seconds(ours, "train"),
        "ratio_vs_trl_best_keeping_memory": total_seconds(keeping_arm, "train")
        / total_seconds(ours, "train"),
        "ratio_per_extra_variant": total_seconds(default, "train") / total_seconds(ours, "check", "train"),
        "peak_memory_ratio": ours_losses.peak_bytes / trl_losses.peak_bytes,
        "peak_memory_ratio_vs_trl_default": ours.peak_bytes / default.peak_bytes,
        "peak_memory_ratio_vs_trl_best": ours.peak_bytes / best_arm.peak_bytes,
        "max_abs_loss_diff": max(
            abs(one - other) for one, other in zip(ours_losses.losses, trl_losses.losses, strict=True)
        ),
        "median_ratio_vs_trl_default": seconds_per_pair(default, "train")
        / _median_variant_in_full(reference, ours, len(pairs)),
        "median_ratio_vs_trl_best": seconds_per_pair(best_arm, "train") / seconds_per_pair(ours, "train"),
        "cpu_ratio_vs_trl_default": _cpu_seconds(default) / (_cpu_seconds(reference) + _cpu_seconds(ours)),
        "cpu_ratio_vs_trl_best": _cpu_seconds(best_arm) / _cpu_seconds(ours, "train"),
        "loss_curves": {"ours": ours_losses.losses, "trl": trl_losses.losses},
        "trl_best_flags": dict(best),
        "trl_best_flags_not_tried": dict(not_tried),
        "trl_best_candidates": [
            {"name": arm.name, "seconds_per_pair": seconds_per_pair(arm, "train")} for arm in trials
        ],
        "seconds_per_pair": {
            "ours, reference": total_seconds(reference, "reference") / len(pairs),
            "ours, check before the first step": total_seconds(ours, "check") / len(pairs),
            **{arm.name: total_seconds(arm, "train") / len(pairs) for arm in arms[1:]},
        },
        "peak_memory_bytes": {arm.name: arm.peak_bytes for arm in (*losses, *arms)},
        "peak_memory_after_imports_bytes": {arm.name: arm.imported_bytes for arm in (*losses, *arms)},
        "step_cost_curve": step_cost_curve(ours),
        "lengths_tokens": {
            "prompt": _quantiles([len(pair.prompt_ids) for pair in pairs]),
            "chosen": _quantiles([len(pair.chosen_ids) for pair in pairs]),
            "rejected": _quantiles([len(pair.rejected_ids) for pair in pairs]),
            "shared row": _quantiles([pair.n_row_tokens for pair in pairs]),
            "common beginning": _quantiles([pair.n_shared_tokens for pair in pairs]),
            "two rows": _quantiles([n_two_rows(pair) for pair in pairs]),
        },
        "n_pairs": len(pairs),
        "n_loss_pairs": sum(block.n_pairs for block in ours_losses.blocks if block.phase == "train"),
        "train": params.train.model_dump(),
        "runtime": params.runtime.model_dump(),
        "rows": params.rows.model_dump(),
        "machine": machine(),
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def n_two_rows(pair: RenderedPair) -> int:
    """Tokens in TRL's layout, without padding."""
    return 2 * len(pair.prompt_ids) + len(pair.chosen_ids) + len(pair.rejected_ids)


def step_cost_curve(arm: Arm) -> list[dict[str, float]]:
    """Training seconds after so many pairs; a straight line where a pair costs the same early and late."""
    blocks = [block for block in arm.blocks if block.phase == "train"]
    n_pairs = accumulate(block.n_pairs for block in blocks)
    seconds = accumulate(block.seconds for block in blocks)
    return [{"n_pairs": n, "seconds": at} for n, at in zip(n_pairs, seconds, strict=True)]


def machine() -> dict[str, Any]:
    """Processor, cores at hand, memory, load."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":", 1)[1].strip() for line in cpuinfo if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": names[0] if names else platform.processor(),
        "n_cores": len(os.sched_getaffinity(0)),
        "memory_bytes": memory,
        "load_average_at_the_end": os.getloadavg()[0],
        "python": platform.python_version(),
    }


def _median_variant_in_full(reference: Arm, ours: Arm, n_pairs: int) -> float:
    return (
        seconds_per_pair(reference, "reference")
        + total_seconds(ours, "check") / n_pairs
        + seconds_per_pair(ours, "train")
    )


def _cpu_seconds(arm: Arm, *phases: str) -> float:
    wanted = phases or ("reference", "check", "train")
    return sum(block.cpu_seconds for block in arm.blocks if block.phase in wanted)


def _quantiles(numbers: Sequence[int]) -> dict[str, float]:
    low, middle, high = statistics.quantiles(numbers, n=4, method="inclusive")
    return {"min": min(numbers), "25 %": low, "median": middle, "75 %": high, "max": max(numbers)}
