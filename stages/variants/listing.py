"""`bluepencil exp show`: the workspace, HEAD and every experiment, one short row each."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console

from stages.pages.terminal import Cell, print_table, print_text
from stages.run.progress import waiting
from stages.variants.as_variant import as_variant
from stages.variants.comparison import missing_line, short_cells
from stages.variants.experiments import WORKSPACE, list_experiments
from stages.variants.variants import Variant, differing_params

HEADER = ("variant", "selection", "held out", "win rate", "drop", "verdict")
BETWEEN = 2  # spaces between two columns
SHOWN = "train."  # the parameters that an experiment is about


def print_experiments(console: Console) -> None:
    """A table as wide as the terminal at most, then what it has no room for; InputError outside of DVC."""
    with waiting("reading the experiments"):
        variants = [as_variant(one, with_length=False) for one in list_experiments(is_brief=True)]
    rows: list[list[Cell]] = [[one.name, *short_cells(one)] for one in variants]
    header, left_out = add_params(rows, variants, width=console.width)
    print_table(console, header, rows, folded="variant")
    console.print()
    if sum(one.name != WORKSPACE for one in variants) < 2:
        print_text(
            console,
            "No experiment yet; `bluepencil exp run -n NAME -S train.beta=0.3` makes one.",
        )
    for line in missing_line(variants):
        print_text(console, line)
    if left_out:
        print_text(console, f"Also different: {', '.join(left_out)}.")
    print_text(console, "More of them with `bluepencil compare`; every column with `dvc exp show`.")


class Columns(NamedTuple):
    """The header that goes with the rows, and the parameters that differ without a column."""

    header: list[str]
    left_out: list[str]


def add_params(rows: list[list[Cell]], variants: Sequence[Variant], *, width: int) -> Columns:
    """Add to each row the training parameters that differ, as many as fit into `width`."""
    header, left_out = [*HEADER], []
    for name, values in differing_params(variants).items():
        label = name.removeprefix(SHOWN)
        table = [[*header, label], *([*row, value] for row, value in zip(rows, values, strict=True))]
        needed = sum(max(map(len, column)) + BETWEEN for column in zip(*table, strict=True)) - BETWEEN
        if needed > width or not name.startswith(SHOWN):
            left_out.append(name)
            continue
        header.append(label)
        for row, value in zip(rows, values, strict=True):
            row.append(value)
    return Columns(header, left_out)
