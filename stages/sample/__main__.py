"""Writes data/sample/{pairs.jsonl,prompts.jsonl,truth.json}: the synthetic corpus, the same bytes every
time. No stage of the pipeline: its files are raw input, committed to git. Run it after changing
the generator in `stages/sample/`.
"""

from pathlib import Path

from stages.files.io import write_json, write_jsonl
from stages.run.shell import run_stage
from stages.sample.corpus import Sample, make_sample

SAMPLE = Path("data/sample")


def main() -> None:
    """Write the corpus."""
    write_sample(make_sample(), SAMPLE)


def write_sample(sample: Sample, folder: Path) -> None:
    """Write the three files."""
    write_jsonl(folder / "pairs.jsonl", sample.pairs)
    write_jsonl(folder / "prompts.jsonl", sample.prompts)
    write_json(folder / "truth.json", sample.truth)


if __name__ == "__main__":
    run_stage(main)
