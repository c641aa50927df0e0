"""`python -m benchmarks.kill_train --times 5`: kills training at random moments and compares what comes out.

In a folder of its own, with a tiny model: `python -m stages.train` runs once to its end; then, each time
with fresh checkpoints, it is ended with SIGKILL at a random moment between its first checkpoint and its
end, and started again. The policy must have the same bytes as that of the run nobody touched. Exits 1
where one differs.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from stages.files.io import sha256_file, write_jsonl, write_text
from stages.files.pairs import SplitPair
from stages.logprobs.reference import ReferenceRow
from stages.run import paths
from stages.run.shell import be_quiet_and_offline

REPOSITORY = Path(__file__).resolve().parent.parent
NO_CHECKPOINT = "no checkpoint yet"
ADAPTER = paths.POLICY_MODEL / "adapter_model.safetensors"
N_STEPS = 60  # of two pairs; a few milliseconds each, with a checkpoint after every third
SMALL: dict[str, dict[str, Any]] = {
    "size": {"n_train": "all"},
    "runtime": {"device": "cpu", "dtype": "float32", "quantization": "none", "n_threads": 1},
    "train": {
        "method": "lora",
        "num_train_epochs": 1.0,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 2,
        "learning_rate": 1e-3,
        "lora_r": 4,
    },
    "watch": {"save_steps": 3},
}


class Outcome(NamedTuple):
    """One killed and resumed run."""

    killed_after_seconds: float
    last_checkpoint: str
    sha256: str


def main() -> None:
    """Print one line a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--times", type=int, required=True, help="runs to kill")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    be_quiet_and_offline()
    draw = random.Random(options.seed)  # noqa: S311 - moments, no secret
    with tempfile.TemporaryDirectory() as name:
        folder = build_run(Path(name), SMALL)
        seconds = train(folder)
        whole = sha256_file(folder / ADAPTER)
        print(f"not touched       {seconds:7.2f} s  {whole}", flush=True)
        outcomes = []
        for number in range(options.times):
            # the last part of `seconds` is the interpreter's own end
            outcomes.append(kill_and_resume(folder, draw.uniform(0.0, 0.8 * seconds)))
            one = outcomes[-1]
            print(
                f"killed {number + 1} after    {one.killed_after_seconds:7.2f} s  {one.sha256}  "
                f"{one.last_checkpoint}",
                flush=True,
            )
    n_same = sum(one.sha256 == whole for one in outcomes)
    print(f"{n_same} of {len(outcomes)} resumed runs gave the same bytes")
    sys.exit(n_same != len(outcomes))


def build_run(folder: Path, changes: Mapping[str, Mapping[str, Any]]) -> Path:
    """A folder in which `train` can run: a tiny base, pairs, their reference log-probs, parameters."""
    from stages.logprobs.reference_table import write_reference
    from stages.logprobs.scoring import prepare_for_scoring, score_pairs
    from stages.model.checkpoint import load_model, load_tokenizer
    from stages.model.rendering import render_pairs
    from stages.run.params import parse_params
    from tests.support.tiny_models import write_tiny_base

    raw = yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
    for section, values in changes.items():
        raw[section] |= values
    params = parse_params(raw, place="benchmarks.kill_train")
    write_text(folder / "params.yaml", yaml.safe_dump(raw))
    shutil.copytree(REPOSITORY / "sizes/accelerate", folder / "sizes/accelerate")
    write_tiny_base(folder / paths.BASE_MODEL)
    pairs = made_up_split(2 * N_STEPS)
    write_jsonl(folder / paths.TRAIN_PAIRS, pairs)
    tokenizer = load_tokenizer(folder / paths.BASE_MODEL)
    model = load_model(folder / paths.BASE_MODEL, None, params.runtime)
    prepare_for_scoring(model)
    rendered = render_pairs(tokenizer, pairs, max_length=params.rows.max_length, too_long="refuse")
    scored = score_pairs(
        model,
        rendered,
        pad_token_id=tokenizer.pad_token_id,
        batch_size=params.rows.score_batch_size,
        label="reference",
    )
    rows = [ReferenceRow(*pair, *scored[pair.pair_id]) for pair in rendered]
    write_reference(folder / paths.REFERENCE_LOGPS, rows)
    return folder


def made_up_split(n: int) -> list[SplitPair]:
    """Pairs of a few invented words."""
    nothing = {"editor": None, "group_id": None, "section": None, "reviewed_at": None, "chosen_shown": None}
    words = ("need", "budget", "plan", "staff", "impact", "risk", "partner")
    return [
        SplitPair(
            pair_id=f"k{number:04}",
            prompt=f"Write on {words[number % 7]}.",
            chosen=f"We ask for {number} pounds " + "more " * (number % 5),
            rejected="Much is needed " + "here " * (number % 3),
            synthetic=True,
            component_id=str(number),
            **nothing,
        )
        for number in range(n)
    ]


def train(folder: Path) -> float:
    """Run the stage to its end; the seconds from its first checkpoint on."""
    process = start_training(folder)
    start = wait_for_checkpoint(folder, process)
    process.wait()
    return time.monotonic() - start


def wait_for_checkpoint(folder: Path, process: "subprocess.Popen[bytes]") -> float:
    """Wait for the first sign of a checkpoint, written to its end or not; the moment it was seen."""
    while process.poll() is None and last_checkpoint(folder) == NO_CHECKPOINT:
        time.sleep(0.005)
    return time.monotonic()


def start_training(folder: Path) -> "subprocess.Popen[bytes]":
    """Start `python -m stages.train` on the folder's data, with checkpoints inside the folder."""
    environment = os.environ | {
        "PYTHONPATH": str(REPOSITORY),
        "BLUEPENCIL_CHECKPOINTS": str(folder / "checkpoints"),
    }
    with (folder / "train.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "stages.train"],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )


def kill_and_resume(folder: Path, seconds: float) -> Outcome:
    """Start with nothing, kill so many seconds after the first checkpoint, start again and let it end."""
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    shutil.rmtree(folder / paths.POLICY_MODEL, ignore_errors=True)
    process = start_training(folder)
    wait_for_checkpoint(folder, process)
    try:
        process.wait(timeout=seconds)
        last = "it had ended by then"
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        last = last_checkpoint(folder)
    train(folder)
    return Outcome(seconds, last, sha256_file(folder / ADAPTER))


def last_checkpoint(folder: Path) -> str:
    """The name of the newest checkpoint on disk, whole or not."""
    found = (folder / "checkpoints").glob("*/checkpoint-*")
    newest = max(found, key=lambda path: int(path.name.split("-")[1]), default=None)
    return newest.name if newest else NO_CHECKPOINT


if __name__ == "__main__":
    main()
