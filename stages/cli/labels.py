"""`bluepencil labels`: doubtful labels are judged again, blind.

Each command imports what it needs.
"""

from typing import Annotated

import typer

from stages.cli.ballot_options import Ballot, DespiteMissing, Receipt

app = typer.Typer(no_args_is_help=True, help="Doubtful labels, judged again, blind.")
Name = Annotated[str, typer.Argument(help="The re-judging, labels-...; the one that is open if left out.")]


@app.command("open")
def open_pages() -> None:
    """Write one ballot page per editor: the most doubtful pairs, and as many drawn at random."""
    from stages.labelling.steps import open_rejudging

    open_rejudging()


@app.command()
def status(name: Name = "") -> None:
    """Say who is missing, what is wrong and what to do next."""
    from stages.labelling.steps import say_status
    from stages.pages.terminal import print_lines

    print_lines(say_status(name))


@app.command()
def collect(ballot: Ballot, receipt: Receipt = "") -> None:
    """Check a ballot and put it, unchanged, in its place."""
    from stages.labelling import steps

    steps.collect(ballot, receipt=receipt)


@app.command()
def verify(name: Name = "") -> None:
    """Check every file of a re-judging against its seal, receipts and git."""
    from stages.labelling import steps
    from stages.pages.terminal import print_lines

    print_lines(steps.verify(name))


@app.command()
def reveal(name: Name = "", despite_missing: DespiteMissing = "") -> None:
    """Check the seal, write the key, what came of it, and the votes for `data.votes`."""
    from stages.labelling import steps

    steps.reveal(name, despite_missing=despite_missing)
