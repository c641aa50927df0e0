"""`python -m benchmarks.judge_scale [--smoke]`: how `capability` and the blind study grow.

Invented answers to 1,000, 5,000 and 14,042 questions go through `capability`. Studies of 50 prompts and
3 editors up to 1,000 and 20 are opened, judged by simulated editors and revealed (`study rehearse`), and
then counted by `winrate`. Every command is a process of its own, start-up included. `--smoke` does the
smallest of each only.
"""

import os
import random
import sys
import tempfile
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import yaml

from benchmarks.calibrate_capability import SUBJECT_SIZES
from benchmarks.data_scale import WORDS
from benchmarks.processes import Taken, run_measured
from stages.files.io import write_jsonl
from stages.inference.generation.completions import Generation
from stages.inference.mmlu.questions import CATEGORY_OF, MmluAnswer
from stages.run import paths
from stages.run.params import PARAMS_FILE

ROOT = Path(__file__).parent.parent
N_QUESTIONS = (1_000, 5_000, 14_042)


class Size(NamedTuple):
    """A study."""

    n_prompts: int
    n_editors: int


STUDIES = (Size(50, 3), Size(200, 5), Size(1_000, 20))


def main() -> None:
    """One line per command and size."""
    is_smoke = sys.argv[1:] == ["--smoke"]
    for n in N_QUESTIONS[: 1 if is_smoke else None]:
        with tempfile.TemporaryDirectory() as folder:
            write_answers(Path(folder), n)
            print(
                f"{n:>6} questions              capability      {run(Path(folder), 'stages.capability')}",
                flush=True,
            )
    for size in STUDIES[: 1 if is_smoke else None]:
        with tempfile.TemporaryDirectory() as folder:
            write_completions(Path(folder), size)
            for module, *arguments in (
                ("stages.blind",),
                ("stages", "study", "rehearse"),
                ("stages.winrate",),
            ):
                taken = run(Path(folder), module, *arguments)
                name = " ".join([module.removeprefix("stages").removeprefix("."), *arguments]).strip()
                print(
                    f"{size.n_prompts:>6} prompts, {size.n_editors:>2} editors  {name:15} {taken}", flush=True
                )
            page = max(path.stat().st_size for path in Path(folder, paths.STUDY).rglob("ballot-*.html"))
            print(f"{'':28} largest ballot page {page / 1000:.0f} kB", flush=True)


def run(folder: Path, module: str, *arguments: str) -> Taken:
    """`python -m module` in the folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return run_measured([sys.executable, "-m", module, *arguments], cwd=folder, env=environment)


def write_params(folder: Path, **changes: dict[str, object]) -> None:
    """The repository's parameters, with some sections changed."""
    params = yaml.safe_load((ROOT / PARAMS_FILE).read_text(encoding="utf-8"))
    for section, values in changes.items():
        params[section] |= values
    (folder / PARAMS_FILE).write_text(yaml.safe_dump(params), encoding="utf-8")


def write_answers(folder: Path, n: int) -> None:
    """Both models' answers to `n` questions over MMLU's 57 subjects; they differ on about 6 %."""
    draw = random.Random(n)  # noqa: S311 - invented answers, no secret
    ends = list(accumulate(SUBJECT_SIZES))
    subjects = sorted(CATEGORY_OF)
    base, policy = [], []
    for number in range(n):
        place = number * ends[-1] // n
        subject = subjects[next(index for index, end in enumerate(ends) if place < end)]
        is_right = draw.random() < 0.6
        base.append(answer(number, subject, is_right))
        policy.append(answer(number, subject, is_right != (draw.random() < 0.06)))
    write_params(folder)
    for model, answers in (("base", base), ("policy", policy)):
        write_jsonl(folder / paths.mmlu_answers(model), answers)


def answer(number: int, subject: str, is_right: bool) -> MmluAnswer:
    """A row of data/mmlu/<model>.jsonl whose right option is the first."""
    logprobs = [-1.0, -2.0, -3.0, -4.0] if is_right else [-2.0, -1.0, -3.0, -4.0]
    return MmluAnswer(
        question_id=f"q{number}", subject=subject, category=CATEGORY_OF[subject], gold=0, logprobs=logprobs,
        predicted=0 if is_right else 1, correct=is_right, config_sha256="0" * 64,
    )  # fmt: skip


def write_completions(folder: Path, size: Size) -> None:
    """Both models' completions, 60 to 120 words each, and the editors' names."""
    draw = random.Random(size.n_prompts)  # noqa: S311 - invented texts, no secret
    editors = [f"editor-{number + 1}" for number in range(size.n_editors)]
    study = {"editors": editors, "anchors": str(ROOT / "data/sample/anchors.jsonl")}
    write_params(folder, generate={"n_prompts": size.n_prompts}, study=study)
    for kept in (paths.STUDY, paths.BALLOTS):
        (folder / kept).mkdir(parents=True)
    for model in ("base", "policy"):
        rows = [completion(number, draw) for number in range(size.n_prompts)]
        write_jsonl(folder / paths.generations(model), rows)


def completion(number: int, draw: random.Random) -> Generation:
    """A row of data/generate/<model>.jsonl."""
    text = " ".join(draw.choices(WORDS, k=draw.randint(60, 120))).capitalize() + "."
    return Generation(
        prompt_id=f"p{number:04d}", prompt=f"Write paragraph {number}.", completion=text, raw_completion=text,
        n_tokens=100, finish_reason="eos", removed_role_tags=False, trimmed=False, seed=number,
        settings_sha256="0" * 64, synthetic=True,
    )  # fmt: skip


if __name__ == "__main__":
    main()
