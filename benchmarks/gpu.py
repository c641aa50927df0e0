"""`python -m benchmarks.gpu [--tiny] PART...`: what only a GPU can show, on one card.

Parts: rates, training, long_rows, sizes, mmlu; see benchmarks/gpu_parts.py. Weights are random, in the shapes
of real models, and pairs are random tokens with the lengths of real editors' pairs: speed and memory ask for
no more. Each part adds itself to benchmarks/results/gpu.json, or to the file that BENCH_GPU names; one that
fails is written down with its error, and the next one runs. `--tiny` tries them on a model of two layers, and
writes only where BENCH_GPU says.
"""

import importlib.metadata
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.dpo_report import LIBRARIES
from stages.errors import ParamsError
from stages.files.io import read_json, write_json
from stages.run.params import Params, load_params
from stages.run.progress import say
from stages.run.shell import run_stage

RESULTS = Path("benchmarks/results/gpu.json")


def main() -> None:
    """Run the named parts, one after the other."""
    parts = read_parts()
    is_tiny = "--tiny" in sys.argv
    names = [name for name in sys.argv[1:] if name != "--tiny"]
    if not names or set(names) - set(parts):
        raise ParamsError(f"benchmarks.gpu: name parts among {', '.join(parts)}")
    file = os.environ.get("BENCH_GPU", "" if is_tiny else str(RESULTS))
    params = load_params()
    for name in names:
        say(f"benchmarks.gpu: {name}")
        start = time.perf_counter()
        try:
            found = parts[name](params, is_tiny)
        except Exception as error:  # noqa: BLE001 - hours of other parts must not be lost with it
            traceback.print_exc()
            found = {"error": f"{type(error).__name__}: {str(error)[:500]}"}
        found["seconds_in_all"] = time.perf_counter() - start
        describe(found)
        say(json.dumps(found, indent=1, default=str))
        if file:
            add(Path(file), name, found)


def read_parts() -> dict[str, Callable[[Params, bool], dict[str, Any]]]:
    """All parts by name, in the order in which they are best run; imports torch."""
    from benchmarks.gpu_parts import PARTS

    return PARTS


def describe(found: dict[str, Any]) -> None:
    """Add the card and the versions that results hold for."""
    import torch

    found["card"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    found["versions"] = {one: importlib.metadata.version(one) for one in LIBRARIES}


def add(file: Path, name: str, found: dict[str, Any]) -> None:
    """Put one part's results beside those of the others."""
    results = read_json(file) if file.exists() else {}
    write_json(file, results | {name: found})


if __name__ == "__main__":
    run_stage(main)
