"""`bluepencil gate`: the verdicts as a table, and as an exit code that can fail a CI job."""

import re
import sys
from collections.abc import Mapping
from typing import Annotated, NamedTuple

import typer

from stages.decision.findings import SYMBOLS, State
from stages.decision.verdicts import StoredGates, StoredVerdict, parse_gates
from stages.decision.wording import in_hundred
from stages.errors import InputError
from stages.files.io import read_json
from stages.files.json_text import as_written, dump_json
from stages.pages.terminal import Cell, open_console, print_table, print_text, show_state
from stages.run import paths

EXIT_CODES: dict[State, int] = {
    "pass": 0,
    "confirmed": 0,
    "pending": 3,
    "fail": 1,
    "inconclusive": 1,
    "invalid": 1,
}
HEADER = ("gate", "state", "literal rule", "value", "95 % range", "n")
SENTENCE_ENDS = re.compile(r"(?<=[.?!]) (?=[A-Z0-9])")
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
    if json:
        print(dump_json(document["gate"]))
    else:
        print_gates(gates)
    raise typer.Exit(EXIT_CODES[gates.overall.state])


def print_gates(gates: StoredGates) -> None:
    """The overall verdict, a table of the three, and each reason once with the gates that it is for."""
    console = open_console()
    overall = gates.overall.state
    console.print(show_state(overall, SYMBOLS[overall]), "overall")
    console.print()
    named = gates.named()
    print_table(console, HEADER, [[name, *_cells(verdict)] for name, verdict in named.items()])
    for sentences in group_reasons({name: verdict.reasons for name, verdict in named.items()}):
        console.print()
        console.print(f"{', '.join(sentences.gates)}:", style="bold")
        print_text(console, sentences.text, indent=2)
    if gates.warnings:
        console.print()
        print_text(console, f"warning: {gates.warnings}", style="yellow")


class Reasons(NamedTuple):
    """Sentences, and the gates that gave all of them."""

    gates: tuple[str, ...]
    text: str


def group_reasons(reasons: Mapping[str, str]) -> list[Reasons]:
    """Each sentence once, under all gates that gave it, in the order in which they came."""
    told: dict[str, list[str]] = {}
    for gate, text in reasons.items():
        for sentence in SENTENCE_ENDS.split(text):
            told.setdefault(sentence, []).append(gate)
    groups: dict[tuple[str, ...], list[str]] = {}
    for sentence, gates in told.items():
        groups.setdefault(tuple(gates), []).append(sentence)
    return [Reasons(gates, " ".join(sentences)) for gates, sentences in groups.items()]


def _cells(verdict: StoredVerdict) -> list[Cell]:
    value, low, high = (_percent(number) for number in (verdict.value, verdict.low, verdict.high))
    between = f"{low} to {high}" if low and high else ""
    n = "" if verdict.n is None else f"{verdict.n:,}"
    return [show_state(verdict.state, SYMBOLS[verdict.state]), verdict.literal_met, value, between, n]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{in_hundred(as_written(share))} %"
