"""`bluepencil compare`: which variant is ahead, and by how much.

The command imports what it needs when it runs, so that `--help` does not wait for statistics.
"""

from pathlib import Path
from typing import Annotated

import typer

from stages.cli.written_files import ending_in


def compare(
    revs: Annotated[
        list[str] | None,
        typer.Argument(help="Experiments, branches, tags or commits; none: all of them."),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(callback=ending_in(".html"), help="Write the comparison as an offline page, too."),
    ] = None,
) -> None:
    """Rank variants by selection accuracy, seeds together; pair the first with the next or with all named."""
    from stages.variants.compare import compare_variants

    compare_variants(revs or [], page)
