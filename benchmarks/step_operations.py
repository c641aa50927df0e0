"""`python -m benchmarks.step_operations`: operations and waits of one training step, on a tiny model.

Counted with torch's profiler on a CPU: every `aten` operation that the host starts, and every time it reads
a value out of a tensor (`item`, `tolist`, `nonzero`, `cpu`, `bool`), for which a GPU would be waited for. Two
layers in bfloat16 in rows of a pair each, as on a GPU; and in float32 with all pairs in one row. TRL's own
loss and metrics are in the counts; what the collator does before a step is not. Writes
benchmarks/results/step_operations.json.
"""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch.overrides import TorchFunctionMode
from torch.profiler import ProfilerActivity, profile
from transformers import TrainerCallback

from benchmarks.gpu_models import unscored_rows
from stages.files.io import write_json
from stages.logprobs import shared_prefix
from stages.run.params import Params, load_params
from stages.run.progress import say
from stages.run.shell import run_stage
from stages.training import dpo
from tests.support.tiny_models import made_up_pairs, tiny_model, tiny_tokenizer

RESULTS = Path("benchmarks/results/step_operations.json")
N_PAIRS = 8
WAITS = {"item", "tolist", "nonzero", "cpu", "numpy", "__bool__", "__int__", "__float__"}


class Waits(TorchFunctionMode):
    """Counts calls that read a tensor's values."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in WAITS:
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


class Counting(TrainerCallback):
    """Profiles the second step; the first one makes the optimizer's state."""

    def __init__(self) -> None:
        self.waits = Waits()
        self.profiler = profile(activities=[ProfilerActivity.CPU])

    def on_step_begin(self, _args: Any, state: Any, *_rest: Any, **_kwargs: Any) -> None:
        """Begin to count."""
        if state.global_step == 1:
            self.waits.__enter__()
            self.profiler.__enter__()

    def on_step_end(self, _args: Any, state: Any, *_rest: Any, **_kwargs: Any) -> None:
        """End it."""
        if state.global_step == 2:
            self.profiler.__exit__(None, None, None)
            self.waits.__exit__(None, None, None)


def main() -> None:
    """Count both layouts."""
    params = load_params()
    layouts = {"bfloat16": "bfloat16, a row a pair", "float32": "float32, one row"}
    found = {name: count(params, dtype) for dtype, name in layouts.items()}
    for name, counts in found.items():
        say(f"benchmarks.step_operations: {name}: {counts}")
    write_json(RESULTS, found)


def count(params: Params, dtype: str) -> dict[str, Any]:
    """Operations and waits of a step of `N_PAIRS` pairs."""
    runtime = params.runtime.model_copy(update={"device": "cpu", "dtype": dtype})
    train = params.train.model_copy(
        update={"num_train_epochs": 2.0, "max_steps": None, "per_device_train_batch_size": N_PAIRS}
    )
    watch = params.watch.model_copy(update={"save_steps": 10**6, "max_loss_growth": 1e9})
    model = tiny_model().to(getattr(torch, dtype))
    counting = Counting()
    as_on_a_gpu = patch.object(shared_prefix, "can_pack", lambda _model: dtype == "float32")
    with as_on_a_gpu, tempfile.TemporaryDirectory() as folder:
        trainer = dpo.build_trainer(
            model, tiny_tokenizer(), unscored_rows(made_up_pairs(N_PAIRS)), train=train, runtime=runtime,
            watch=watch, checkpoints=Path(folder),
        )  # fmt: skip
        trainer.add_callback(counting)
        trainer.train()
    events = [event for event in counting.profiler.key_averages() if event.key.startswith("aten::")]
    return {"operations": sum(event.count for event in events), "waits": dict(counting.waits.counts)}


if __name__ == "__main__":
    run_stage(main)
