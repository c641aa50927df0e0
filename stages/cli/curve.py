"""`bluepencil curve`: would more pairs help?

The command imports what it needs when it runs, so that `--help` does not wait for statistics.
"""

from typing import Annotated

import typer


def curve(
    queue: Annotated[
        bool, typer.Option("--queue", help="Queue the runs of a curve as DVC experiments; run nothing.")
    ] = False,
    size: Annotated[
        list[int] | None,
        typer.Option(help="With --queue: pairs to train on; may be given again. Else a quarter, half, all."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="With --queue: runs a size, from train.seed on.")] = 2,
    keep: Annotated[
        bool, typer.Option("--keep", help="Write it to data/curve/, where the founder's page reads it.")
    ] = False,
) -> None:
    """Show what more pairs brought so far, or queue the runs for it; the held-out pairs take no part."""
    if queue:
        from stages.cli.pipeline import call_dvc
        from stages.variants.curve_queue import queue_curve

        queue_curve(size or [], n_seeds=seeds, call=call_dvc)
        return
    from stages.variants.curve_page import show_curve

    show_curve(is_kept=keep)
