"""DVC's plots as one page that needs no network: Vega stands in it, panels without data do not."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from stages.errors import InputError
from stages.files.io import write_text
from stages.pages.html import Link, link_pages, render_page
from stages.run.progress import waiting
from stages.variants.experiments import is_made_up, read_drawn


class Plots(NamedTuple):
    """The Vega-Lite specification of each panel by its name, and the panels that have nothing to draw yet."""

    drawn: dict[str, dict[str, Any]]
    empty: list[str]
    is_made_up: bool = False  # some of the texts behind them


def write_plots(revs: Sequence[str], page: Path) -> Plots:
    """Write the page of the workspace, or of `revs` side by side; InputError where DVC draws nothing."""
    with waiting("drawing"):
        plots = read_plots(ask_dvc(revs))._replace(is_made_up=any(map(is_made_up, read_drawn(revs))))
        if not plots.drawn:
            raise InputError("no plot has data yet; run `dvc repro`, or name a revision that has results")
        write_text(page, render_plots(plots, links=link_pages(page)))
    return plots


def ask_dvc(revs: Sequence[str]) -> dict[str, Any]:
    """What `dvc plots show --json` prints, or `dvc plots diff` of `revs`."""
    action = ["diff", *revs] if revs else ["show"]
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "plots", *action, "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[0]
        raise InputError(f"dvc plots {' '.join(action)}: {said}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def read_plots(answer: Mapping[str, Any]) -> Plots:
    """Panels with data and without, in DVC's order."""
    panels = answer.get("data", {})
    vega = {name: [one for one in found if one["type"] == "vega"] for name, found in panels.items()}
    drawn = {name: found[0]["content"] for name, found in vega.items() if found}
    return Plots(drawn, [name for name in panels if name not in drawn])


def is_rehearsed(spec: Mapping[str, Any]) -> bool:
    """Does a panel draw what simulated editors judged? Its rows say so in the column `rehearsal`."""
    data = spec.get("data")
    rows = data.get("values") if isinstance(data, Mapping) else None
    return any(str(row.get("rehearsal")) == "True" for row in rows or () if isinstance(row, Mapping))


def render_plots(plots: Plots, *, links: Sequence[Link] = ()) -> str:
    """The page; a text from data can end no script."""
    from vl_convert import javascript_bundle  # starts a JavaScript engine: seconds

    specs = json.dumps(list(plots.drawn.values())).replace("<", "\\u003c")
    return render_page(
        "variants/plots.html.j2",
        links=links,
        panels=[(name, is_rehearsed(spec)) for name, spec in plots.drawn.items()],
        is_made_up=plots.is_made_up,
        empty=plots.empty,
        vega=Markup(javascript_bundle("window.vegaEmbed = vegaEmbed;")),  # noqa: S704  the library itself
        specs=Markup(specs),  # noqa: S704  JSON without a <
    )
