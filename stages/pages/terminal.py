"""Tables and sentences for a terminal: as wide as it is, without colour in a pipe or under NO_COLOR."""

import os
import textwrap
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

Cell = str | Text
COLOURS = {
    "pass": "green",
    "confirmed": "green",
    "pending": "yellow",
    "inconclusive": "yellow",
    "fail": "red",
    "invalid": "red",
}  # of the states of a gate
LABELS = {"problem": "red", "next": "bold", "note": "yellow"}  # what a line of print_lines begins with
NARROWEST_COLUMN = 10
NARROWEST = 20  # below this, lines are wrapped by the terminal


def open_console() -> Console:
    """Standard output as rich sees it; texts from data are never read as markup."""
    if os.environ.get("COLUMNS") == "0":  # a width that is not known, at which rich would print nothing
        del os.environ["COLUMNS"]
    return Console(markup=False, highlight=False, emoji=False)


def show_state(state: str, symbol: str, words: str | None = None) -> Text:
    """A gate's state, or other `words` for it, with its symbol, in its colour."""
    return Text.assemble((f"{symbol} {words or state}", COLOURS[state]))


def print_table(
    console: Console, header: Sequence[str], rows: Sequence[Sequence[Cell]], *, folded: str = ""
) -> None:
    """Columns under a header; where they do not fit, each row as lines of `header: cell`.

    The column called `folded` may be as narrow as NARROWEST_COLUMN before that.
    """
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    n_spare = 0
    for place, name in enumerate(header):
        table.add_column(name, no_wrap=name != folded, overflow="fold")
        if name == folded:
            n_spare = max([0, *(len(row[place]) - NARROWEST_COLUMN for row in rows)])
    for row in rows:
        table.add_row(*row)
    widest = table.__rich_measure__(console, console.options.update(max_width=10**6)).maximum
    if widest - n_spare <= console.width:
        console.print(table)
        return
    for number, row in enumerate(rows):
        if number:
            console.print()
        indent = ""
        for name, cell in zip(header, row, strict=True):
            if cell:
                console.print(Text.assemble(indent, (f"{name}: ", "bold"), cell), soft_wrap=True)
            indent = "  "


def print_lines(lines: Sequence[str]) -> None:
    """Lines wrapped at the terminal's width, or COLUMNS, under their own indent; in a pipe as they are."""
    console = open_console()
    is_wrapped = console.is_terminal or "COLUMNS" in os.environ
    for line in lines:
        style = LABELS.get(line.lstrip().partition(":")[0], "")
        hanging = " " * (len(line) - len(line.lstrip()) + 2)
        wrapped = textwrap.wrap(
            line,
            max(console.width, NARROWEST),
            subsequent_indent=hanging,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for part in (wrapped or [""]) if is_wrapped else [line]:
            console.print(Text(part, style=style), soft_wrap=True)


def print_text(console: Console, text: str, *, indent: int = 0, style: str = "") -> None:
    """A text wrapped at words, every line indented alike."""
    lines = textwrap.wrap(
        text,
        max(console.width, NARROWEST),
        initial_indent=" " * indent,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in lines:
        console.print(Text(line, style=style), soft_wrap=True)
