"""`bluepencil curve`: would more pairs help?

The command imports what it needs when it runs, so that `--help` does not wait for statistics.
"""

from typing import Annotated

import typer

from stages.errors import InputError


def curve(
    run: Annotated[
        bool, typer.Option("--run", help="Make a curve's runs, one after the other, but for those there are.")
    ] = False,
    queue: Annotated[
        bool, typer.Option("--queue", help="Put them into DVC's queue instead, for workers elsewhere.")
    ] = False,
    size: Annotated[
        list[int] | None,
        typer.Option(help="With either: pairs to train on; may be given again. Else a quarter, half, all."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="With either: runs a size, from train.seed on.")] = 2,
    keep: Annotated[
        bool, typer.Option("--keep", help="Write it to data/curve/, where the founder's page reads it.")
    ] = False,
) -> None:
    """Show what more pairs brought so far, or make the runs for it; the held-out pairs take no part."""
    if queue and (run or keep):
        raise InputError("--queue goes with neither --run nor --keep: the queue's runs are yet to be made")
    if size and not (run or queue):
        raise InputError("--size says what is run; give it with --run or --queue")
    if run or queue:
        from stages.cli.pipeline import call_dvc
        from stages.variants.curve_runs import make_curve
        from stages.variants.experiments import names_on_head

        make_curve(size or [], n_seeds=seeds, is_queued=queue, there=names_on_head(), call=call_dvc)
    if queue:
        return
    from stages.variants.curve_page import show_curve

    show_curve(is_kept=keep)
