"""`python -m benchmarks.compare_scale [N]`: how long `compare` and `dvc exp show` take over N experiments.

Makes a DVC repository with N experiments in a temporary folder, as `git fast-import` writes them:
each has its own parameters, lock file, metrics, and cached margins, answers and completions of the
full size. Then times each whole command, start-up included, once. N is 100, or what you say.
"""

import csv
import hashlib
import io
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

N_EXPERIMENTS = 100
N_PAIRS, N_SELECTION, N_QUESTIONS, N_PROMPTS = 300, 200, 14_042, 50
ROOT = Path(__file__).parent.parent
MARGINS, ANSWERS, COMPLETIONS, BASE_COMPLETIONS = (
    "data/holdout/margins.jsonl",
    "data/mmlu/policy.jsonl",
    "data/generate/policy.jsonl",
    "data/generate/base.jsonl",
)


def main() -> None:
    """Build, time and print."""
    n_experiments = int(sys.argv[1]) if len(sys.argv) > 1 else N_EXPERIMENTS
    with tempfile.TemporaryDirectory() as folder:
        build_repository(Path(folder), n_experiments)
        out = timed(Path(folder), "stages", "compare")
        table = timed(Path(folder), "dvc", "exp", "show", "--csv")
    n_ranked = len(re.findall(r"^(?:rank: )?\d+\s+.*v\d{3}", out, re.MULTILINE))
    n_shown = sum(row["Experiment"].startswith("v") for row in csv.DictReader(io.StringIO(table)))
    print(f"of {n_experiments} experiments compare ranks {n_ranked}, exp show lists {n_shown}")


def cpu_of_children() -> float:
    """Processor seconds of all processes waited for so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(folder: Path, *command: str) -> str:
    """What `python -m <command>` printed in `folder`; prints how long it took."""
    before, start = cpu_of_children(), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder, env=_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    seconds, cpu_seconds = time.monotonic() - start, cpu_of_children() - before
    print(
        f"{' '.join(command[1:])}: {seconds:.1f} s, start-up included ({cpu_seconds:.1f} s of processor time)"
    )
    return done.stdout


def build_repository(folder: Path, n_experiments: int) -> None:
    """A repository whose experiments differ in `train.beta`, and in what came of it."""
    _run(folder, "git", "init", "-q", "-b", "main")
    _run(folder, sys.executable, "-m", "dvc", "init", "-q")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    files = make_variant(folder, params, beta=0.1, seed=0)
    files["dvc.yaml"] = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    _run(folder, "git", "add", "-A")
    _run(folder, "git", "commit", "-qm", "first")
    head = _run(folder, "git", "rev-parse", "HEAD").strip()
    stream = []
    for number in range(1, n_experiments + 1):
        variant = make_variant(folder, params, beta=round(0.05 + number / 1000, 4), seed=number)
        stream.append(f"commit refs/exps/{head[:2]}/{head[2:]}/v{number:03d}\n")
        stream.append(f"committer a <a@b.c> {1_700_000_000 + number} +0000\ndata 1\nv\nfrom {head}\n")
        for path, text in variant.items():
            stream.append(f"M 644 inline {path}\ndata {len(text.encode())}\n{text}\n")
    subprocess.run(["git", "fast-import", "--quiet"], cwd=folder, input="".join(stream).encode(), check=True)


def make_variant(folder: Path, params: dict[str, Any], *, beta: float, seed: int) -> dict[str, str]:
    """The git-tracked files of one experiment; its outs go to the cache."""
    draw, questions = random.Random(seed), random.Random(seed % 2)  # noqa: S311 -- numbers to fill files
    outs = {
        MARGINS: _lines(margin_row(number, draw) for number in range(N_PAIRS + N_SELECTION)),
        ANSWERS: _lines(answer_row(number, questions) for number in range(N_QUESTIONS)),
        COMPLETIONS: _lines(completion_row(number, draw) for number in range(N_PROMPTS)),
        BASE_COMPLETIONS: _lines(completion_row(number, questions) for number in range(N_PROMPTS)),
    }
    share = {"k": 210, "n": 300, "accuracy": draw.uniform(0.6, 0.75), "low": 0.6, "high": 0.8}
    gates = {
        "accuracy": _verdict(draw.uniform(0.62, 0.76), 0.05),
        "winrate": _verdict(draw.uniform(0.52, 0.7), 0.08),
        "capability": _verdict(draw.uniform(-0.005, 0.02), 0.008),
    }
    lock = yaml.safe_load(_lock(folder, outs))
    return {
        "params.yaml": yaml.safe_dump(params | {"train": params["train"] | {"beta": beta}}),
        "dvc.lock": yaml.safe_dump(lock),
        "metrics/accuracy.json": json.dumps({"holdout": share, "selection": share}),
        "metrics/gate.json": json.dumps({"gate": gates | {"overall": {"state": "pass"}}}),
    }


def margin_row(number: int, draw: random.Random) -> dict[str, Any]:
    """A row of data/holdout/margins.jsonl."""
    part = "holdout" if number < N_PAIRS else "selection"
    lengths = dict.fromkeys(
        ("n_chosen_tokens", "n_rejected_tokens", "n_chosen_chars", "n_rejected_chars"), 90
    )
    logps = dict.fromkeys(("chosen_logp", "rejected_logp", "ref_chosen_logp", "ref_rejected_logp"), -100.0)
    row = {
        "pair_id": f"h{number}",
        "part": part,
        "margin": draw.gauss(0.5, 1.0),
        "editor": "a",
        "section": None,
    }
    return row | lengths | logps | {
        "component_id": f"c{number // 2}", "synthetic": True, "split_sha256": "5" * 64,
        "render_sha256": "6" * 64,
    }  # fmt: skip


def answer_row(number: int, draw: random.Random) -> dict[str, Any]:
    """A row of data/mmlu/policy.jsonl."""
    is_right = draw.random() < 0.6
    row = {"question_id": f"q{number}", "subject": f"s{number % 57}", "category": "stem", "gold": 0}
    logprobs = [0.0, -1.0, -2.0, -3.0] if is_right else [-1.0, 0.0, -2.0, -3.0]
    answer = {"logprobs": logprobs, "predicted": 0 if is_right else 1, "correct": is_right}
    return row | answer | {"config_sha256": "c" * 64}


def completion_row(number: int, draw: random.Random) -> dict[str, Any]:
    """A row of data/generate/policy.jsonl."""
    text = "We ask for a boat. " * 12
    return {
        "prompt_id": f"p{number}", "prompt": "Write.", "completion": text, "raw_completion": text,
        "n_tokens": draw.randint(60, 96), "finish_reason": "eos", "removed_role_tags": False,
        "trimmed": False,
        "seed": number, "settings_sha256": "s" * 64, "synthetic": True,
    }  # fmt: skip


def _lines(rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _verdict(value: float, half_width: float) -> dict[str, Any]:
    ends = {"low": value - half_width, "high": value + half_width}
    return {"state": "pass", "literal_met": "met", "reasons": "Fine.", "value": value, "n": 300, **ends}


def _lock(folder: Path, outs: dict[str, str]) -> str:
    """A lock file as long as the pipeline's own, and the outs in the cache."""
    stages: dict[str, Any] = {}
    for path, text in outs.items():
        digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        cached = folder / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.write_text(text, encoding="utf-8")
        stage = path.split("/")[1] + ("" if "holdout" in path else f"@{Path(path).stem}")
        code = [f"stages/measures/m{n}.py" for n in range(40)]
        deps = [{"path": name, "hash": "md5", "md5": "0" * 32, "size": 9} for name in code]
        stages[stage] = {
            "cmd": f"python -m stages.{stage}", "deps": deps,
            "outs": [{"path": path, "hash": "md5", "md5": digest, "size": len(text)}],
        }  # fmt: skip
    return yaml.safe_dump({"schema": "2.0", "stages": stages})


def _environment() -> dict[str, str]:
    names = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {**os.environ, **names, "DVC_NO_ANALYTICS": "1", "PYTHONPATH": str(ROOT)}


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
