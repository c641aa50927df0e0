"""A learning curve for a terminal, for a panel of the page, and as the file that the founder's page reads."""

from collections.abc import Callable
from typing import Any, NamedTuple

from rich.console import Console

from stages.errors import InputError
from stages.files.io import write_json
from stages.files.numbers import percent
from stages.measures.curve import Curve, Gain
from stages.measures.curve_words import about, points, tell_curve, tell_groups, why_not_told
from stages.pages.terminal import open_console, print_table, print_text
from stages.run import paths
from stages.run.params import load_params
from stages.run.progress import waiting
from stages.variants.curve import FoundCurve, NoCurve, find_curve
from stages.variants.experiments import list_experiments
from stages.variants.pareto_plot import ParetoPlot, Point, Reach, draw_panel

HEADER = ("pairs", "seeds", "selection, %", "log-loss", "gain, points")
SYNTHETIC = "The pairs are made up (marked synthetic), so this is a rehearsal."


class Panel(NamedTuple):
    """The curve as the page shows it."""

    sentence: str
    rows: list[tuple[str, ...]]
    lines: list[str]
    plot: ParetoPlot


def show_curve(*, is_kept: bool) -> None:
    """Print the curve of all experiments; InputError where there is none. `is_kept` also writes its file."""
    with waiting("reading the experiments"):
        found = find_curve(list_experiments(), tolerance=load_params().watch.margin_tolerance)
    if isinstance(found, NoCurve):
        raise InputError(f"curve: {found.sentence}")
    print_curve(found, open_console())
    if is_kept:
        write_json(paths.CURVE, {"curve": describe_curve(found)})
        print(f"\nWritten: {paths.CURVE}; `dvc repro report` tells its price on the founder's page")


def print_curve(found: FoundCurve, console: Console) -> None:
    """The sentence, one row a size, then what the numbers are worth."""
    print_text(console, tell_curve(found.curve), style="bold")
    console.print()
    print_table(console, HEADER, table_rows(found.curve))
    console.print()
    for line in tell_lines(found):
        print_text(console, line)


def table_rows(curve: Curve) -> list[tuple[str, ...]]:
    """Under HEADER; the gain is that on the size before, on the same pairs."""
    steps = ["", *(with_range(points, one.value, one.low, one.high) for one in curve.steps)]
    return [
        (
            f"{one.n_pairs:,}",
            str(one.n_seeds),
            with_range(lambda share: f"{share * 100:.1f}", one.accuracy, one.low, one.high),
            with_range(lambda loss: f"{loss:.3f}", one.loss, one.loss_low, one.loss_high),
            step,
        )
        for one, step in zip(curve.points, steps, strict=True)
    ]


def with_range(write: Callable[[float], str], value: float, low: float | None, high: float | None) -> str:
    """`61.2 (56 to 66.1)`, or the value alone."""
    return write(value) if low is None or high is None else f"{write(value)} ({write(low)} to {write(high)})"


def tell_lines(found: FoundCurve) -> list[str]:
    """What the ranges hold, then sections and editors."""
    others = found.n_others
    return [
        *about(found.curve),
        tell_groups(found.sections, "section"),
        tell_groups(found.editors, "editor"),
        *([SYNTHETIC] if found.is_synthetic else []),
        *([f"Not shown: {others} other curve{'s' * (others > 1)} with fewer runs."] if others else []),
    ]


def make_panel(found: FoundCurve) -> Panel:
    """The same for the page."""
    dots = [
        Point(
            name=f"{one.n_pairs:,} pairs",
            cost=one.n_pairs,
            accuracy=one.accuracy,
            reach=None if one.low is None or one.high is None else Reach(one.low, one.high),
        )
        for one in found.curve.points
    ]
    title = "Accuracy against pairs"
    plot = draw_panel(title, dots, "pairs trained on", {dot.name for dot in dots})
    plot = plot._replace(
        dots=[dot._replace(is_named=False) for dot in plot.dots],  # the axis names them
        y_label="selection accuracy, of 100 (up is better)",
        alt=f"{title}: " + ", ".join(f"{dot.name} {percent(dot.accuracy)}" for dot in dots),
    )
    return Panel(tell_curve(found.curve), [HEADER, *table_rows(found.curve)], tell_lines(found), plot)


def describe_curve(found: FoundCurve) -> dict[str, Any]:
    """What data/curve/curve.json says."""
    curve = found.curve
    return {
        "is_told": not why_not_told(curve),
        "helps": curve.helps and not why_not_told(curve),
        "n_pairs": curve.points[-1].n_pairs,
        "n_selection": curve.n_selection,
        "is_synthetic": found.is_synthetic,
        "split_sha256": found.split_sha256,
        **{name: _ends(gain) for name, gain in (("average", curve.average), ("last", curve.last))},
        "sizes": [{"n_pairs": one.n_pairs, "n_seeds": one.n_seeds, "accuracy": one.accuracy, "loss": one.loss}
                  for one in curve.points],
    }  # fmt: skip


def _ends(gain: Gain) -> dict[str, float]:
    ends = {"value": gain.value, "low": gain.low, "high": gain.high}
    return {name: end for name, end in ends.items() if end is not None}
