"""Draw the graph of dvc.yaml: `python -m tests.support.pipeline_picture` writes docs/images/pipeline.svg.

Arrows that follow from others are left out, as a river map leaves out the sea. Equal pipelines, equal bytes.
"""

from collections.abc import Iterator
from html import escape
from pathlib import Path

import networkx as nx
import yaml

ROOT = Path(__file__).parent.parent.parent
PICTURE = ROOT / "docs/images/pipeline.svg"
BOX_WIDTH, BOX_HEIGHT = 136, 34
COLUMN, ROW, MARGIN = 152, 78, 20
# Column and row of each stage: by hand, so that no arrow runs behind a box.
PLACES: dict[str, tuple[float, float]] = {
    "base_model": (2, 0), "questions": (0, 2), "validate": (4.8, 0), "split": (6, 1), "labels": (6.6, 2),
    "reference": (5.5, 2), "train": (5.5, 3),
    "mmlu@base": (0, 4), "mmlu@policy": (1, 4), "probe@base": (2, 4), "probe@policy": (3, 4),
    "generate@base": (4, 4), "generate@policy": (5, 4), "holdout": (6, 4),
    "capability": (0.5, 5), "probe_summary": (2.5, 5), "blind": (4.5, 5), "accuracy": (6, 5),
    "winrate": (4.5, 6), "writing": (3, 6), "gate": (4.5, 7.5), "report": (4.5, 8.5),
}  # fmt: skip
FONT = 'font-family="system-ui, sans-serif" text-anchor="middle"'
FILLS = {"once": "#e8eef7", "variant": "#fdebd0"}
LEGEND = {"once": "computed once for all variants of train", "variant": "computed for each variant"}


def stage_graph(pipeline: dict[str, dict[str, dict[str, object]]]) -> "nx.DiGraph[str]":
    """A node per stage (a matrix is several), an edge where a stage depends on what another writes."""
    written, read = {}, {}
    for name, stage in pipeline["stages"].items():
        for model in stage.get("matrix", {}).get("model", [""]):  # type: ignore[attr-defined]
            node = f"{name}@{model}" if model else name
            deps = stage.get("deps", [])
            outs = [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]  # type: ignore[misc]
            read[node] = [_path(dep, model) for dep in deps]  # type: ignore[union-attr]
            written |= {_path(out, model): node for out in outs}
    graph = nx.DiGraph()
    graph.add_nodes_from(read)
    for node, deps in read.items():
        makers = {maker for path in deps for maker in _makers(path, written)}
        graph.add_edges_from((maker, node) for maker in sorted(makers))
    return graph


def _path(entry: object, model: str) -> str:
    path = next(iter(entry)) if isinstance(entry, dict) else str(entry)
    return path.replace("${item.model}", model)


def _makers(path: str, written: dict[str, str]) -> Iterator[str]:
    """Who writes the path, the folder it lies in, or something in it."""
    for out, maker in written.items():
        if path == out or Path(path).is_relative_to(out) or Path(out).is_relative_to(path):
            yield maker


def draw(pipeline: dict[str, dict[str, dict[str, object]]]) -> str:
    """The graph as SVG."""
    graph = stage_graph(pipeline)
    places = {name: (MARGIN + column * COLUMN, MARGIN + row * ROW) for name, (column, row) in PLACES.items()}
    nodes = set(graph.nodes)
    if unplaced := sorted(nodes ^ places.keys()):
        raise ValueError(f"PLACES and dvc.yaml differ in {unplaced}")
    variant = {"train", *nx.descendants(graph, "train")}
    shown = nx.transitive_reduction(graph)
    width = MARGIN + max(x for x, _ in places.values()) + BOX_WIDTH
    height = MARGIN + max(y for _, y in places.values()) + BOX_HEIGHT + 50
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
        f"<title>The {len(graph)} stages of dvc.yaml and what they depend on</title>",
        '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#5b6675"/></marker></defs>',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    lines += [_arrow(places[start], places[end]) for start, end in sorted(shown.edges)]
    lines += [_box(name, places[name], "variant" if name in variant else "once") for name in sorted(places)]
    lines += _legend(height)
    return "\n".join([*lines, "</svg>", ""])


def _box(name: str, place: tuple[float, float], kind: str) -> str:
    x, y = place
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6" fill="{FILLS[kind]}" '
        f'stroke="#5b6675"/><text x="{x + BOX_WIDTH / 2:.0f}" y="{y + 22:.0f}" font-size="14" {FONT} '
        f'fill="#1b2430">{escape(name)}</text>'
    )


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    x1, y1 = start[0] + BOX_WIDTH / 2, start[1] + BOX_HEIGHT
    x2, y2 = end[0] + BOX_WIDTH / 2, end[1] - 1
    bend = (y2 - y1) / 2
    return (
        f'<path d="M{x1:.0f} {y1:.0f} C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} {x2:.0f} {y2:.0f}" '
        f'fill="none" stroke="#5b6675" stroke-width="1.3" marker-end="url(#tip)"/>'
    )


def _legend(height: float) -> Iterator[str]:
    for number, (kind, words) in enumerate(LEGEND.items()):
        x, y = MARGIN + number * 340, height - MARGIN - 18
        yield (
            f'<rect x="{x}" y="{y:.0f}" width="18" height="18" rx="3" fill="{FILLS[kind]}" stroke="#5b6675"/>'
            f'<text x="{x + 26}" y="{y + 14:.0f}" font-size="13" font-family="system-ui, sans-serif" '
            f'fill="#1b2430">{words}</text>'
        )


if __name__ == "__main__":
    PICTURE.write_text(draw(yaml.safe_load((ROOT / "dvc.yaml").read_text())))
