"""A tiny model and made-up pairs, by which `benchmarks.dpo --smoke` shows that it works, in a minute."""

from pathlib import Path

from stages.model.rendered import RenderedPair
from stages.run.params import Params
from tests.support.tiny_models import made_up_pairs, write_tiny_base


def smoke_setting(params: Params, work: Path) -> tuple[Params, Path, list[RenderedPair]]:
    """Parameters for the CPU, the folder of a tiny base, sixteen pairs."""
    runtime = params.runtime.model_copy(update={"device": "cpu", "dtype": "float32", "quantization": "none"})
    train = params.train.model_copy(update={"method": "lora"})
    base = write_tiny_base(work / "base")
    return params.model_copy(update={"runtime": runtime, "train": train}), base, made_up_pairs(16)
