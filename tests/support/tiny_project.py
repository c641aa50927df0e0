"""A repository with a tiny model and a few pairs, ready for `reference` and `train`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from stages.files.io import write_jsonl, write_text
from stages.files.pairs import SplitPair
from tests.support.pair_factory import make_pair
from tests.support.tiny_models import write_tiny_base

ROOT = Path(__file__).parent.parent.parent
WORDS = ["reading", "rooms", "for", "children", "and", "their", "families", "funds", "the", "grant"]


def make_split_pairs(n: int, part: str) -> list[SplitPair]:
    """Pairs of different lengths, no two alike."""

    def text(start: int, length: int) -> str:
        return " ".join(WORDS[(start + place) % len(WORDS)] for place in range(length)) + "."

    return [
        SplitPair(
            **make_pair(
                pair_id=f"{part}-{number}",
                prompt=f"About {part} {text(number, 3 + number % 4)}",
                chosen=text(number, 4 + number % 7),
                rejected=text(number + 2, 3 + number % 5),
            ).model_dump(),
            component_id=f"{part}-{number}",
        )
        for number in range(n)
    ]


def make_project(folder: Path, *, n_train: int = 16, train: dict[str, Any] | None = None) -> Path:
    """`folder` with code, params, a tiny base and a split; `train` changes that section."""
    (folder / "stages").symlink_to(ROOT / "stages")
    shutil.copytree(ROOT / "sizes", folder / "sizes")
    for path in ("data/raw/base_model", "data/raw/mmlu"):
        (folder / path).mkdir(parents=True)
    write_tiny_base(folder / "models/base")
    for part, n in (("train", n_train), ("selection", 2), ("holdout", 4)):
        write_jsonl(folder / f"data/split/{part}.jsonl", make_split_pairs(n, part))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["size"] = dict.fromkeys(params["size"], "all")
    params["runtime"] |= {"n_threads": 1}
    params["rows"] |= {"score_batch_size": 4, "max_length": 256}
    params["watch"] |= {"save_steps": 3}
    params["train"] |= {
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 2,
        "learning_rate": 1e-2,
        "lora_r": 4,
        "num_train_epochs": 2.0,
    }
    params["train"] |= train or {}
    write_text(folder / "params.yaml", yaml.safe_dump(params))
    return folder


def set_train(
    project: Path, accelerate_config: str | None = None, save_steps: int | None = None, **changes: Any
) -> None:
    """Change keys of `train` in the project's parameters, how many processes train, how often a run is saved."""
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["train"] |= changes
    if accelerate_config is not None:
        params["processes"] = {"accelerate_config": accelerate_config}
    if save_steps is not None:
        params["watch"]["save_steps"] = save_steps
    write_text(project / "params.yaml", yaml.safe_dump(params))


def change_params(project: Path, **sections: dict[str, Any]) -> None:
    """Change keys of the named sections of the project's parameters."""
    params = yaml.safe_load((project / "params.yaml").read_text())
    for name, changes in sections.items():
        params[name] |= changes
    write_text(project / "params.yaml", yaml.safe_dump(params))


LONGEST_RUN_SECONDS = 400  # a run that hangs is ended, and the test fails, long before a CI job does


def run_module(project: Path, module: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m <module>` in the project."""
    return subprocess.run(
        [sys.executable, "-m", module],
        cwd=project,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "BLUEPENCIL_CHECKPOINTS": str(project / "checkpoints"),
            **environment,
        },
        timeout=LONGEST_RUN_SECONDS,
        capture_output=True,
        text=True,
        check=False,
    )
