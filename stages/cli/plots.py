"""`bluepencil plots`: DVC's plots as one offline page."""

from pathlib import Path
from typing import Annotated

import typer

from stages.cli.written_files import ending_in


def plots(
    revs: Annotated[
        list[str] | None,
        typer.Argument(help="Experiments, branches or commits side by side; none: what is here."),
    ] = None,
    page: Annotated[Path, typer.Option(callback=ending_in(".html"), help="Where to write it.")] = Path(
        "dvc_plots/index.html"
    ),
) -> None:
    """Draw training, accuracy, win rate and capability as one page that needs no network."""
    from stages.variants.plots_page import write_plots

    found = write_plots(revs or [], page)
    typer.echo(f"{page}: {len(found.drawn)} plots")
    if found.empty:
        typer.echo(f"nothing to draw yet: {', '.join(found.empty)}")
