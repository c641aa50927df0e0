"""What stops a run on this machine beside memory, and what is worth a remark: packages, cards, disk,
lengths."""

from pathlib import Path

from stages.run.accelerate_config import read_config
from stages.run.params import Params
from stages.sizing import machine
from stages.sizing.lengths import PairFile, count_too_long
from stages.sizing.memory import Plan
from stages.sizing.model_config import Found
from stages.sizing.way_out import GIB, Finding, disk_bytes

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
INSTALLED_BY = {"bitsandbytes": "make qlora", "deepspeed": "pip install deepspeed"}
# Tokens are estimated from characters, and a vocabulary may merge more or less than is assumed.
UNSURE_BY = 1.15


def check_environment(params: Params, plan: Plan, found: Found, *, is_elsewhere: bool) -> list[Finding]:
    """Packages, device, number format and disk; a card elsewhere is not looked for here."""
    if is_elsewhere:
        return []
    findings = []
    needs_bitsandbytes = plan.is_quantized or "bit" in params.train.optim or "paged" in params.train.optim
    wanted = [*PACKAGES, *(["bitsandbytes"] if needs_bitsandbytes else []), *_deepspeed(params)]
    absent = machine.absent_packages(wanted)
    if absent:
        way_out = "; ".join(sorted({f"`{INSTALLED_BY.get(name, 'make venv')}`" for name in absent}))
        findings.append(Finding("packages", f"not installed: {', '.join(absent)}", way_out))
    if params.runtime.device == "cuda":
        findings += _check_cards(params, plan)
    on_disk = disk_bytes(plan, found.shape, is_downloaded=found.is_downloaded)
    free = machine.free_disk(Path.cwd())
    if on_disk > free:
        findings.append(
            Finding(
                "disk",
                f"models and checkpoints take about {on_disk / GIB:.0f} GiB, {free / GIB:.0f} GiB are free",
                "free some, or put BLUEPENCIL_CHECKPOINTS, HF_HOME and the DVC cache on a larger disk",
            )
        )
    return findings


def check_lengths(params: Params, pairs: PairFile) -> tuple[list[Finding], list[str]]:
    """A finding where pairs surely break `rows.max_length` and are refused; a remark where they may."""
    limit = params.rows.max_length
    too_long = count_too_long(pairs.lengths, max_length=limit)
    if too_long.n == 0:
        return [], []
    problem = (
        f"about {too_long.n} of {len(pairs.lengths)} pairs are longer than rows.max_length {limit} "
        f"(the longest about {too_long.longest:,.0f} tokens, estimated)"
    )
    if params.rows.too_long == "set_aside":
        return [], [f"{problem}; they are set aside"]
    enough = -(-int(too_long.longest * UNSURE_BY) // 256) * 256
    way_out = f"set rows.max_length {enough}, or rows.too_long set_aside"
    if too_long.longest < UNSURE_BY * limit:
        return [], [f"{problem}; `reference` knows, and refuses them; {way_out}"]
    return [Finding("data", problem, way_out)], []


def remarks(params: Params, plan: Plan, *, n_cards: int) -> list[str]:
    """What is no obstacle and yet good to know before a machine is paid."""
    if params.runtime.device == "cuda" and n_cards > plan.n_scoring:
        return [
            f"{n_cards} cards are here, and processes.accelerate_config uses {plan.n_scoring} of them: "
            "sizes/accelerate/ddp.yaml uses more"
        ]
    return []


def _deepspeed(params: Params) -> list[str]:
    config = read_config(Path(params.processes.accelerate_config))
    return ["deepspeed"] if config["distributed_type"] == "DEEPSPEED" else []


def _check_cards(params: Params, plan: Plan) -> list[Finding]:
    reason = machine.why_no_cards()
    if reason is not None:
        way_out = "do that, run on a machine that has one, plan with --card, or `bluepencil size default`"
        return [Finding("device", f"runtime.device is cuda, but {reason}", way_out)]
    findings = []
    cards = machine.count_cards()
    if cards.n < plan.n_scoring:
        problem = (
            f"processes.accelerate_config wants {plan.n_scoring} processes, {cards.n} CUDA devices are here"
        )
        findings.append(Finding("device", problem, "lower num_processes in that file"))
    elif cards.n_kinds > 1 and plan.n_scoring > 1:
        problem = f"the {cards.n} CUDA devices are of {cards.n_kinds} kinds"
        findings.append(Finding("device", problem, "set CUDA_VISIBLE_DEVICES to those of one kind"))
    if params.runtime.dtype == "bfloat16" and not machine.has_bfloat16():
        problem = "this device does not compute in bfloat16"
        findings.append(Finding("device", problem, "set runtime.dtype float16, or float32"))
    return findings
