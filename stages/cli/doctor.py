"""`bluepencil doctor`: what the run in params.yaml will take, and what to change where it does not fit."""

import math
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from stages.errors import ParamsError
from stages.files.json_text import dump_json
from stages.pages.terminal import open_console, print_table, print_text
from stages.run.params import load_params
from stages.sizing import machine
from stages.sizing.environment import check_environment, check_lengths, remarks
from stages.sizing.estimates import (
    OTHER_SECONDS,
    StageEstimate,
    all_seconds,
    download_seconds,
    estimate_stages,
)
from stages.sizing.lengths import PairFile, estimate_lengths, measure_pairs
from stages.sizing.memory import Lengths, stored_bytes
from stages.sizing.model_config import Found, find_shape
from stages.sizing.plan import make_plan
from stages.sizing.way_out import GIB, Finding, disk_bytes, find_misfits


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line instead of a table.")] = False,
    card: Annotated[
        str | None, typer.Option(help=f"Plan for a card that is not here: {', '.join(machine.CARDS)}.")
    ] = None,
    price: Annotated[
        float | None, typer.Option(min=0, help="What the machine costs an hour, in any currency.")
    ] = None,
) -> None:
    """Predict memory and time of every stage. Exit code: 0 it fits, 1 it does not, 2 it cannot be said."""
    params = load_params()
    if card is not None and card not in machine.CARDS:
        raise ParamsError(f"--card {card}: no such card; there are {', '.join(machine.CARDS)}")
    if card is not None and params.runtime.device == "cpu":
        raise ParamsError("--card plans for a GPU, and runtime.device is cpu; see `bluepencil size`")
    if price is not None and not math.isfinite(price):
        raise ParamsError(f"--price {price}: is no price; write a number, e.g. --price 2.5")
    found = find_shape(params.base_model)
    pairs = measure_pairs(Path(params.data.pairs), params.data.columns, params.data.sheet)
    plan = make_plan(params, pairs.n_pairs)
    lengths = estimate_lengths(pairs.lengths, n_used=plan.n_train)
    hardware = (
        machine.hardware_of(card) if card else machine.look_at_hardware(params.runtime, n_used=plan.n_scoring)
    )
    findings = check_environment(params, plan, found, is_elsewhere=card is not None)
    too_long, notes = check_lengths(params, pairs)
    findings += too_long
    estimates: list[StageEstimate] = []
    if hardware is not None:
        estimates = estimate_stages(plan, found.shape, lengths, hardware.machine)
        findings += find_misfits(plan, found.shape, lengths, hardware.machine)
        notes += remarks(params, plan, n_cards=hardware.n_devices)
    n_downloaded = 0.0 if found.is_downloaded else stored_bytes(plan, found.shape)
    cost = Cost(
        seconds=all_seconds(estimates) + download_seconds(n_downloaded),
        download_bytes=n_downloaded,
        disk_bytes=disk_bytes(plan, found.shape, is_downloaded=found.is_downloaded),
        price_per_hour=price,
    )
    result = describe(found, pairs, lengths, hardware, estimates, findings, notes, cost)
    if json:
        typer.echo(dump_json(result))
    else:
        print_result(result)
    raise typer.Exit(1 if findings else 0)


class Cost(NamedTuple):
    """Of the whole run: time with start-up and download, bytes, and what an hour costs."""

    seconds: float
    download_bytes: float
    disk_bytes: float
    price_per_hour: float | None


def describe(
    found: Found,
    pairs: PairFile,
    lengths: Lengths,
    hardware: machine.Hardware | None,
    estimates: list[StageEstimate],
    findings: list[Finding],
    notes: list[str],
    cost: Cost,
) -> dict[str, Any]:
    """All that is said, as data: bytes and seconds."""
    return {
        "model": {"n_weights": found.shape.n_weights, "shape_from": found.source},
        "data": {"n_pairs": pairs.n_pairs, "tokens": lengths._asdict()},
        "device": None if hardware is None else {"name": hardware.name, **hardware.machine._asdict()},
        "stages": [one._asdict() for one in estimates],
        "seconds": cost.seconds,
        "download": {"bytes": cost.download_bytes, "seconds": download_seconds(cost.download_bytes)},
        "disk_bytes": cost.disk_bytes,
        "money": None if cost.price_per_hour is None else cost.price_per_hour * cost.seconds / 3600,
        "notes": notes,
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
    download = result["download"]
    print_text(
        console,
        f"Disk: about {result['disk_bytes'] / GIB:,.1f} GiB; to be downloaded: "
        f"{download['bytes'] / GIB:,.1f} GiB, "
        f"{_duration(download['seconds'])} at 100 MB/s",
    )
    for note in result["notes"]:
        print_text(console, f"Note: {note}")
    console.print()
    rows = [
        (
            one["stage"],
            f"{one['memory_bytes'] / GIB:,.1f} GiB",
            _duration(one["start_seconds"]),
            _duration(one["seconds"]),
        )
        for one in result["stages"]
    ]
    rest = [
        ("others", "", "", _duration(OTHER_SECONDS)),
        ("all of it", "", "", _duration(result["seconds"])),
    ]
    print_table(console, ("stage", "memory", "start-up", "time"), [*rows, *rest])
    if result["money"] is not None:
        print_text(console, f"Money: about {result['money']:,.2f} at the price of an hour, download included")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
