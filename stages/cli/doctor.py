"""`bluepencil doctor`: what the run in params.yaml will take, and what to change where it does not fit."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from stages.errors import ParamsError
from stages.files.json_text import dump_json
from stages.pages.terminal import open_console, print_table, print_text
from stages.run import accelerate_config
from stages.run.params import Params, load_params
from stages.sizing import machine
from stages.sizing.estimates import Lengths, Plan, Shards, StageEstimate, estimate_stages
from stages.sizing.lengths import PairFile, estimate_lengths, measure_pairs
from stages.sizing.model_config import Found, find_shape
from stages.sizing.way_out import GIB, Finding, disk_bytes, find_misfits

ALL_QUESTIONS = {"bundled": 280, "csv": 14042, "hub": 14042}
PACKAGES = [
    "torch",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "lm_eval",
    "great_expectations",
    "dvc",
]


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line instead of a table.")] = False,
    card: Annotated[
        str | None, typer.Option(help=f"Plan for a card that is not here: {', '.join(machine.CARDS)}.")
    ] = None,
) -> None:
    """Predict memory and time of every stage. Exit code: 0 it fits, 1 it does not, 2 it cannot be said."""
    params = load_params()
    if card is not None and card not in machine.CARDS:
        raise ParamsError(f"--card {card}: no such card; there are {', '.join(machine.CARDS)}")
    found = find_shape(params.base_model)
    pairs = measure_pairs(Path(params.data.pairs), params.data.columns, params.data.sheet)
    plan = make_plan(params, pairs.n_pairs)
    lengths = estimate_lengths(pairs.lengths, n_used=plan.n_train)
    hardware = machine.hardware_of(card) if card else machine.look_at_hardware(params.runtime)
    findings = check_environment(params, plan, found, is_elsewhere=card is not None)
    estimates: list[StageEstimate] = []
    if hardware is not None:
        estimates = estimate_stages(plan, found.shape, lengths, hardware.machine)
        findings += find_misfits(plan, found.shape, lengths, hardware.machine)
    result = describe(found, pairs, lengths, hardware, estimates, findings)
    if json:
        typer.echo(dump_json(result))
    else:
        print_result(result)
    raise typer.Exit(1 if findings else 0)


def make_plan(params: Params, n_pairs: int) -> Plan:
    """The parameters that decide memory and time; `all` becomes the number there is."""
    train, size, split = params.train, params.size, params.split
    config = accelerate_config.read_config(Path(params.processes.accelerate_config))
    n_learned = max(1, n_pairs - split.n_holdout - split.n_selection)

    def wanted(value: Literal["all"] | int, there: int) -> int:
        return there if value == "all" else min(value, there)

    n_processes, n_train = int(config.get("num_processes") or 1), wanted(size.n_train, n_learned)
    n_per_step = train.per_device_train_batch_size * train.gradient_accumulation_steps * n_processes
    return Plan(
        device=params.runtime.device,
        method=train.method,
        is_quantized=params.runtime.quantization == "nf4",
        element_bytes=4 if params.runtime.dtype == "float32" else 2,
        lora_rank=train.lora_r,
        checkpointing=train.gradient_checkpointing,
        n_processes=n_processes,
        shards=_shards(config),
        n_train=n_train,
        n_selection=wanted(size.n_selection_scored, max(1, split.n_selection)),
        n_holdout=wanted(size.n_holdout_scored, split.n_holdout),
        n_epochs=train.num_train_epochs or (train.max_steps or 0) * n_per_step / n_train,
        train_batch=train.per_device_train_batch_size,
        score_batch=params.rows.score_batch_size,
        n_prompts=params.generate.n_prompts,
        generate_batch=params.generate.batch_size,
        max_new_tokens=params.generate.max_new_tokens,
        n_questions=wanted(size.n_questions, ALL_QUESTIONS[params.mmlu.source]),
        num_fewshot=params.mmlu.num_fewshot,
        question_tokens_at_once=params.mmlu.max_batch_tokens,
        probe_batch=params.probe.batch_size,
        probe_new_tokens=params.probe.max_new_tokens,
    )


def _shards(config: dict[str, Any]) -> Shards:
    zero = (config.get("deepspeed_config") or {}).get("zero_stage")
    if config["distributed_type"] == "FSDP" or zero == 3:
        return "all"
    return "moments" if config["distributed_type"] == "DEEPSPEED" else "none"


def check_environment(params: Params, plan: Plan, found: Found, *, is_elsewhere: bool) -> list[Finding]:
    """Packages, device, number format and disk; a card elsewhere is not looked for here."""
    findings = []
    wanted = [*PACKAGES, *(["bitsandbytes"] if plan.is_quantized else []), *_deepspeed(params)]
    absent = [] if is_elsewhere else machine.absent_packages(wanted)
    if absent:
        ways = {"bitsandbytes": "make qlora", "deepspeed": "pip install deepspeed"}
        way_out = "; ".join(sorted({f"`{ways.get(name, 'make venv')}`" for name in absent}))
        findings.append(Finding("packages", f"not installed: {', '.join(absent)}", way_out))
    if params.runtime.device == "cuda" and not is_elsewhere:
        findings += _check_cards(params, plan)
    on_disk = disk_bytes(plan, found.shape, is_downloaded=found.is_downloaded)
    free = machine.free_disk(Path.cwd())
    if on_disk > free and not is_elsewhere:
        findings.append(
            Finding(
                "disk",
                f"models and checkpoints take about {on_disk / GIB:.0f} GiB, {free / GIB:.0f} GiB are free",
                "free some, or put BLUEPENCIL_CHECKPOINTS, HF_HOME and the DVC cache on a larger disk",
            )
        )
    return findings


def _deepspeed(params: Params) -> list[str]:
    config = accelerate_config.read_config(Path(params.processes.accelerate_config))
    return ["deepspeed"] if config["distributed_type"] == "DEEPSPEED" else []


def _check_cards(params: Params, plan: Plan) -> list[Finding]:
    n_cards = machine.count_cards()
    if n_cards == 0:
        return [
            Finding(
                "device",
                "runtime.device is cuda, but no CUDA device is here",
                "run on a machine that has one, plan with --card, or `bluepencil size default`",
            )
        ]
    findings = []
    if n_cards < plan.n_processes:
        problem = (
            f"processes.accelerate_config wants {plan.n_processes} processes, {n_cards} CUDA devices are here"
        )
        findings.append(Finding("device", problem, "lower num_processes in that file"))
    if params.runtime.dtype == "bfloat16" and not machine.has_bfloat16():
        problem = "this device does not compute in bfloat16"
        findings.append(Finding("device", problem, "set runtime.dtype float16, or float32"))
    return findings


def describe(
    found: Found,
    pairs: PairFile,
    lengths: Lengths,
    hardware: machine.Hardware | None,
    estimates: list[StageEstimate],
    findings: list[Finding],
) -> dict[str, Any]:
    """All that is said, as data: bytes and seconds."""
    return {
        "model": {"n_weights": found.shape.n_weights, "shape_from": found.source},
        "data": {"n_pairs": pairs.n_pairs, "tokens": lengths._asdict()},
        "device": None if hardware is None else {"name": hardware.name, **hardware.machine._asdict()},
        "stages": [one._asdict() for one in estimates],
        "seconds": sum(one.seconds for one in estimates),
        "fits": not findings,
        "findings": [finding._asdict() for finding in findings],
    }


def print_result(result: dict[str, Any]) -> None:
    """The verdict, what to change, then what it rests on."""
    console = open_console()
    fits, device = result["fits"], result["device"]
    console.print(f"{'✓ It fits.' if fits else '✗ It does not fit.'}", style="green" if fits else "red")
    ways: dict[str, list[dict[str, str]]] = {}
    for one in result["findings"]:
        ways.setdefault(one["way_out"].partition(" (about ")[0], []).append(one)
    for way, findings in ways.items():
        for one in findings:
            print_text(console, f"{one['place']}: {one['problem']}", indent=2)
        print_text(console, f"way out: {findings[0]['way_out'] if len(findings) == 1 else way}", indent=4)
    console.print()
    model, n_pairs, tokens = result["model"], result["data"]["n_pairs"], result["data"]["tokens"]
    print_text(console, f"Model: {model['n_weights'] / 1e9:.2f} billion weights, from {model['shape_from']}")
    print_text(
        console,
        f"Data: {n_pairs:,} pairs, about {tokens['mean_row']:,.0f} tokens each, the longest about "
        f"{tokens['longest_row']:,.0f} (estimated from characters)",
    )
    if device is None:
        return
    print_text(
        console,
        f"Device: {device['name']}, {device['memory_bytes'] / GIB:,.1f} GiB free, "
        f"{device['flops_per_second'] / 1e9:,.0f} GFLOP/s",
    )
    console.print()
    rows = [
        (one["stage"], f"{one['memory_bytes'] / GIB:,.1f} GiB", _duration(one["seconds"]))
        for one in result["stages"]
    ]
    print_table(console, ("stage", "memory", "time"), [*rows, ("all", "", _duration(result["seconds"]))])


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
