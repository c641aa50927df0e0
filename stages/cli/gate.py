"""`bluepencil gate`: the verdicts as a table, and as an exit code that can fail a CI job."""

import sys
from typing import Annotated

import typer

from stages.decision.findings import State
from stages.decision.verdicts import StoredGates, StoredVerdict, parse_gates
from stages.decision.wording import in_hundred
from stages.errors import InputError
from stages.files.io import read_json
from stages.files.json_text import as_written, dump_json
from stages.run import paths

EXIT_CODES: dict[State, int] = {
    "pass": 0,
    "confirmed": 0,
    "pending": 3,
    "fail": 1,
    "inconclusive": 1,
    "invalid": 1,
}
UNREADABLE = 2
WAY_OUT = "run `dvc repro gate` in the repository's top folder"


def gate(
    json: Annotated[bool, typer.Option("--json", help="Print metrics/gate.json as one JSON line.")] = False,
) -> None:
    """Print the verdicts. Exit code: 0 pass or confirmed, 3 pending, 1 the rest, 2 no verdict to read."""
    try:
        document = read_json(paths.GATE_METRICS)
        gates = parse_gates(document)
    except (InputError, ValueError) as error:
        print(f"bluepencil: {paths.GATE_METRICS} has no verdict: {error}; {WAY_OUT}", file=sys.stderr)
        raise typer.Exit(UNREADABLE) from error
    print(dump_json(document["gate"]) if json else format_gates(gates))
    raise typer.Exit(EXIT_CODES[gates.overall.state])


def format_gates(gates: StoredGates) -> str:
    """A table for a terminal, the reasons under it."""
    named = gates.named()
    header = ["gate", "state", "literal rule", "value", "95 % range", "n"]
    rows = [header, *([name, *_cells(verdict)] for name, verdict in named.items())]
    rows.append(["overall", gates.overall.state, "", "", "", ""])
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    reasons = [f"{name}: {verdict.reasons}" for name, verdict in named.items()]
    warnings = [f"warning: {gates.warnings}"] if gates.warnings else []
    return "\n".join([*(line.rstrip() for line in lines), "", *reasons, *warnings])


def _cells(verdict: StoredVerdict) -> list[str]:
    value, low, high = (_percent(number) for number in (verdict.value, verdict.low, verdict.high))
    between = f"{low} to {high}" if low and high else ""
    return [verdict.state, verdict.literal_met, value, between, "" if verdict.n is None else f"{verdict.n:,}"]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{in_hundred(as_written(share))} %"
