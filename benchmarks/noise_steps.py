"""`python -m benchmarks.noise_steps FOLDER [N]`: what the capability gate sees when a model is damaged.

FOLDER holds MMLU's CSV files. The base's weights get seeded gaussian noise in five steps, each a share
of every tensor's own standard deviation; each damaged model goes through the stages `mmlu` and
`capability` and the gate as a policy does, with `limits.capability.min_questions` lowered to the
questions there are. N asks only N questions, for a trial. Then simulated answers at the full
14,042 questions show at which drop `fail` becomes likely. Writes benchmarks/results/noise_steps.json.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from benchmarks.calibrate_capability import FACTS, Calibration, Scenario, calibrate
from stages.decision.evidence import parse_capability
from stages.decision.findings import DropLimits, State, exact_drop_limits
from stages.decision.judge import judge_capability
from stages.errors import ParamsError, RuntimeCheckError
from stages.files.hashing import seed
from stages.files.io import read_json, read_text, write_json, write_text
from stages.run import paths
from stages.run.params import PARAMS_FILE, load_params
from stages.run.progress import say
from stages.run.shell import run_stage

RESULTS = Path("benchmarks/results/noise_steps.json")
STEPS = (0.0, 0.05, 0.1, 0.2, 0.4)  # standard deviation of the noise, in those of the tensor
NOISE_SEED = "noise-steps-1"
N_FULL = 14042
N_SIMULATED = 500
SIMULATED_DROPS = (0.0, 0.01, 0.015, 0.02, 0.0225, 0.025, 0.03, 0.04, 0.05)
SIMULATED_DISCORDANCE = 0.06


class Step(NamedTuple):
    """One damaged model: the noise, and what was measured of it, as shares of questions."""

    noise: float
    n: int
    base_acc: float
    policy_acc: float
    drop: float
    low: float
    high: float
    discordance: float
    state: State
    reasons: str


def main() -> None:
    """Damage, measure and judge; then simulate."""
    folder, n_questions = read_arguments(sys.argv[1:])
    limits = exact_drop_limits(load_params().limits.capability)
    with tempfile.TemporaryDirectory(prefix="noise-steps-") as place:
        steps = run_steps(Path(place), folder, n_questions, limits)
    say(format_steps(steps, limits))
    simulated = simulate(steps[0].base_acc, limits)
    say(format_simulated(simulated))
    write_json(
        RESULTS,
        {
            "steps": [one._asdict() for one in steps],
            "simulated": [one._asdict() | found._asdict() for one, found in simulated],
        },
    )


def read_arguments(arguments: list[str]) -> tuple[Path, int | None]:
    """The folder of CSV files, and how many questions to ask; None is all of them."""
    if len(arguments) not in (1, 2) or not all(one.isdecimal() and int(one) > 0 for one in arguments[1:]):
        raise ParamsError("usage: python -m benchmarks.noise_steps FOLDER [QUESTIONS]")
    return Path(arguments[0]).resolve(), int(arguments[1]) if arguments[1:] else None


def run_steps(place: Path, folder: Path, n_questions: int | None, limits: DropLimits) -> list[Step]:
    """Every step, measured by the stages themselves in a folder of their own."""
    (place / "models").mkdir()
    (place / paths.BASE_MODEL).symlink_to(paths.BASE_MODEL.resolve())
    params = yaml.safe_load(read_text(PARAMS_FILE))
    params["mmlu"] |= {"source": "csv", "csv_dir": str(folder)}
    params["size"]["n_questions"] = n_questions or "all"
    write_text(place / PARAMS_FILE, yaml.safe_dump(params))
    say("noise_steps: the base answers")
    run_stage_in(place, "questions")
    run_stage_in(place, "mmlu", "base")
    steps = []
    for number, noise in enumerate(STEPS, start=1):
        say(f"noise_steps: step {number} of {len(STEPS)}, noise {noise}")
        write_noised(paths.BASE_MODEL, place / paths.POLICY_MODEL, noise)
        run_stage_in(place, "mmlu", "policy")
        run_stage_in(place, "capability")
        steps.append(judge_step(noise, read_json(place / paths.CAPABILITY_METRICS), limits))
        say(format_step(steps[-1]))
    return steps


def run_stage_in(place: Path, stage: str, *arguments: str) -> None:
    """`python -m stages.<stage>` there, as DVC would; RuntimeCheckError where it fails."""
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-m", f"stages.{stage}", *arguments]
    if subprocess.run(command, cwd=place, env=environment, check=False).returncode != 0:
        raise RuntimeCheckError(f"benchmarks.noise_steps: {' '.join(command[1:])} failed, see above")


def write_noised(base: Path, policy: Path, noise: float) -> None:
    """A full checkpoint whose tensors are the base's plus noise; each tensor has a seed by its name."""
    import torch
    from safetensors.torch import load_file, save_file

    from stages.model.checkpoint import base_sha256

    shutil.rmtree(policy, ignore_errors=True)
    policy.mkdir(parents=True)
    for file in base.iterdir():
        if file.suffix == ".safetensors":
            tensors = load_file(file)
            for name, weights in tensors.items():
                generator = torch.Generator().manual_seed(seed(NOISE_SEED, name))
                drawn = torch.randn(weights.shape, generator=generator)
                spread = float(weights.float().std()) if weights.numel() > 1 else 0.0
                tensors[name] = (weights.float() + noise * spread * drawn).to(weights.dtype)
            save_file(tensors, policy / file.name, metadata={"format": "pt"})
        elif file.name != "manifest.json":
            shutil.copy(file, policy / file.name)
    write_json(policy / "manifest.json", {"method": "noise", "base_sha256": base_sha256(base)})


def judge_step(noise: float, metrics: dict[str, Any], limits: DropLimits) -> Step:
    """The gate's verdict on as many questions as there are."""
    found = metrics["capability"]
    evidence = parse_capability(metrics)
    verdict = judge_capability(evidence, FACTS, limits=limits._replace(min_questions=found["n"]))
    return Step(
        noise=noise,
        **{key: found[key] for key in ("n", "base_acc", "policy_acc", "drop", "low", "high", "discordance")},
        state=verdict.state,
        reasons=" ".join(verdict.reasons),
    )


def simulate(base_acc: float, limits: DropLimits) -> list[tuple[Scenario, Calibration]]:
    """States of simulated models with a known drop, at the full size, with this base's accuracy."""
    full = limits._replace(min_questions=N_FULL)
    scenarios = [
        Scenario(N_FULL, base_acc, drop, SIMULATED_DISCORDANCE, 0.0)
        for drop in SIMULATED_DROPS
        if drop <= base_acc
    ]
    return [
        (one, calibrate(one, full, n_models=N_SIMULATED, seed=number)) for number, one in enumerate(scenarios)
    ]


def format_step(step: Step) -> str:
    """One line of the table."""
    bounds = f"{100 * step.low:+.1f} to {100 * step.high:+.1f}"
    return (
        f"  noise {step.noise:<5} drop {100 * step.drop:+5.1f} points ({bounds}), "
        f"right {step.base_acc:.1%} -> {step.policy_acc:.1%}, differ on {step.discordance:.1%}: "
        f"{step.state}. {step.reasons}"
    )


def format_steps(steps: list[Step], limits: DropLimits) -> str:
    """The table, and the most that could be seen: a model cannot fall below guessing."""
    base_acc, chance = steps[0].base_acc, float(limits.chance)
    room = (
        f"The base is right on {base_acc:.1%}, guessing gets {chance:.0%}: "
        f"no drop larger than about {100 * (base_acc - chance):.1f} points can be seen from it at all."
    )
    head = f"measured on {steps[0].n} questions (bounds: one-sided 95 % each)"
    return "\n".join([head, *map(format_step, steps), room])


def format_simulated(simulated: list[tuple[Scenario, Calibration]]) -> str:
    """Shares of simulated models in each state, by their true drop."""
    lines = [
        f"SIMULATED answers: {N_SIMULATED} models a row, {N_FULL} questions, "
        f"models differ on {SIMULATED_DISCORDANCE:.0%}",
    ]
    for one, found in simulated:
        states = ", ".join(f"{state} {share:.0%}" for state, share in found.states.items())
        lines.append(f"  true drop {100 * one.drop:4.2f} points: {states}")
    likely = [one.drop for one, found in simulated if found.states.get("fail", 0.0) >= 0.5]
    lines.append(
        f"`fail` is likelier than not from a true drop of {100 * min(likely):.2f} points on."
        if likely
        else "`fail` is not likely at any of these drops."
    )
    return "\n".join(lines)


if __name__ == "__main__":
    run_stage(main)
