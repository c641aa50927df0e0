"""Every page that people look at, in every state, written into one folder."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from stages import gate, labels, report, split, validate
from stages.files.io import write_json
from stages.measures.intervals import Interval
from stages.pages.html import link_pages
from stages.run import paths
from stages.serving.server import hand_in_page
from stages.variants.compare import render_comparison
from stages.variants.comparison import Choice, Comparison, Pairing
from stages.variants.curve_page import Panel
from stages.variants.paired import NotComparable
from stages.variants.pareto_plot import plot_pareto
from stages.variants.plots_page import Plots, render_plots
from stages.variants.variants import rank_candidates
from tests.support.decision_factory import (
    item_row,
    make_params,
    make_variant,
    metrics_documents,
    write,
    write_world,
)
from tests.support.pair_factory import make_raw, write_rows

LONG_NAME = ('<b onclick="x">Anna</b> & “Bo” ' + "vonundzu" * 30)[:200]  # no space to break at
NAMES = ("Anna", "Bo", "Cleo", LONG_NAME)
SPEC = {
    "data": {"values": [{"step": 1, "loss": 0.7}, {"step": 2, "loss": 0.5}]},
    "mark": {"type": "line", "point": True},
    "encoding": {
        name: {"field": field, "type": "quantitative"} for name, field in (("x", "step"), ("y", "loss"))
    },
}
SECTIONS = ("Budget", "Need", "Methods", LONG_NAME[::-1])


def write_every_page(folder: Path) -> dict[str, Path]:
    """Each page by its name; the founder's in the six states of the gates, and once with all it can say."""
    from tests.test_report import WORLDS

    pages = {}

    def keep(name: str, page: str) -> None:
        pages[name] = folder / f"{name}.html"
        pages[name].write_text(page, encoding="utf-8")

    for state, documents in WORLDS.items():
        with made_world(folder / f"world-{state}"):
            write_world(Path(), documents)
            gate.main()
            report.main()
            keep(f"founder-{state}", paths.FOUNDER_PAGE.read_text(encoding="utf-8"))
    with made_world(folder / "world-full"):
        keep("founder-full", make_full_page())
    with made_world(folder / "world-data"):
        write_data()
        validate.main()
        split.main()
        labels.main()
        keep("data", paths.DATA_REPORT.read_text(encoding="utf-8"))
        keep("split", paths.SPLIT_REPORT.read_text(encoding="utf-8"))
        keep("labels", paths.LABELS_REPORT.read_text(encoding="utf-8"))
        write_data(allowed=0.0)
        validate.main()
        keep("data-unfit", paths.DATA_REPORT.read_text(encoding="utf-8"))
    keep(
        "plots",
        render_plots(
            Plots({"Loss": SPEC, "Loss, again": SPEC}, ["Win rate by editor"]),
            links=link_pages(Path("plots.html")),
        ),
    )
    keep("compare", compare_page([f"beta-0.{n}" for n in range(1, 6)]))
    keep("compare-long", compare_page([f"{n} {LONG_NAME}" for n in range(3)]))
    keep("compare-nothing", compare_page([]))
    for name, said in {
        "form": {},
        "problem": {"problem": f"{LONG_NAME}: is empty"},
        "taken": {"receipt": "0" * 20},
    }.items():
        keep(f"hand-in-{name}", hand_in_page("editor-1", **said).body.decode())
    return pages


@contextlib.contextmanager
def made_world(folder: Path) -> Iterator[None]:
    folder.mkdir()
    with contextlib.chdir(folder):
        yield


def make_full_page() -> str:
    """The founder's page with every notice, note, table and drawing, and with names that are long and odd."""
    from tests.reporting.test_made_up import document

    documents = metrics_documents()
    documents["split"]["split"]["holdout_ceiling"] = {"lowest": 0.73, "highest": 0.84}
    documents["winrate"]["winrate"]["remarks"] = (
        "Of 6 control screens with one plainly worse text, the editors noticed 0."
    )
    documents["writing"] = document(0.1, -0.4, 0.6)
    write_world(Path(), documents, [full_item(n) for n in range(6)])
    text = Path("data/blind/items.jsonl").read_text(encoding="utf-8")
    place = json.loads(text.splitlines()[0])["policy_completion"].index("lake")
    write(Path("data/writing/mentions.csv"), "prompt_id,model,kind,status,start,end,text\n"
          f"p000,policy,name,unsupported,{place},{place + 4},lake\n")  # fmt: skip
    for table, old in (("data/accuracy/slices.csv", "need"), ("data/winrate/editors.csv", "ben")):
        quoted = '"' + LONG_NAME.replace('"', '""') + '"'
        write(Path(table), Path(table).read_text(encoding="utf-8").replace(f"{old},", f"{quoted},"))
    params = make_params()
    params["project"] = {
        "product": "Grantmaker-" + "w" * 49,
        "owner": "o" * 60,
        "texts": "paragraphs",
        "language": "ar",
    }
    write(Path("params.yaml"), yaml.safe_dump(params))
    gate.main()
    verdicts = json.loads(paths.GATE_METRICS.read_text(encoding="utf-8"))
    verdicts["gate"]["warnings"] = "On the second set of questions the new model lost more than on the first."
    write_json(paths.GATE_METRICS, verdicts)
    return report.founder_page(
        report.read_findings(),
        links=link_pages(paths.FOUNDER_PAGE),
        n_looks=12,
        override=f"{LONG_NAME} wants it.",
    )


def full_item(number: int) -> dict[str, Any]:
    return item_row(
        number, policy_completion=f"Task {number}: we test the lake. {'Long text. ' * 60}{LONG_NAME}"
    )


def write_data(*, allowed: float | None = None) -> None:
    """Pairs for the pages about the data: some break rules, some have long and odd names."""
    rows = [
        make_raw(n, editor=NAMES[n % 4], section=SECTIONS[n % 4], reviewed_at="2025-03-04") for n in range(60)
    ]
    rows[3]["chosen"] = rows[3]["rejected"]
    rows[4]["chosen"] = "Too short."
    rows[5] |= {"pair_id": LONG_NAME, LONG_NAME: "extra", "synthetic": True}
    rows[6] |= {"chosen": rows[7]["chosen"]}
    write_rows(Path("data/raw/pairs.jsonl"), rows)
    write_rows(
        Path("data/raw/prompts.jsonl"),
        [{"prompt_id": f"q{n}", "prompt": f"Say what is new, number {n}."} for n in range(6)],
    )
    params = make_params()
    params["data"] |= {"pairs": "data/raw/pairs.jsonl", "prompts": "data/raw/prompts.jsonl"}
    params["generate"]["n_prompts"] = 6
    for rule in params["validate"]["rules"].values() if allowed is not None else ():
        rule["allowed_share"] = allowed
    params["split"] |= {"n_holdout": 10, "n_selection": 5}
    params["labels"]["n_doubtful"] = 5
    params["size"] |= {"n_train": 20, "n_selection_scored": 5, "n_holdout_scored": 10}
    write(Path("params.yaml"), yaml.safe_dump(params))


def compare_page(names: list[str]) -> str:
    """Made-up variants; the first two are paired."""
    variants = [
        make_variant(
            name, 0.6 + n / 40, 0.01 * n, 0.6 + n / 50, params={"train.beta": str(n), "train.seed": "1"}
        )
        for n, name in enumerate(names)
    ]
    choice = Choice(names[-1], 7, 200, 300, Interval(0.61, 0.72), Interval(0.59, 0.73)) if names else None
    pairings = (
        [Pairing(names[-1], names[-2], *[NotComparable("Their rows are not at hand.")] * 3)] if names else []
    )
    rows: list[tuple[str, ...]] = [("pairs", "accuracy"), ("200", "61.0 % of 24"), ("2,000", "68.0 % of 24")]
    plots = plot_pareto(variants)
    curve = Panel("More pairs may help.", rows, ["One run a size."], plots[0]) if plots else None
    return render_comparison(
        Comparison(rank_candidates(variants), n_looks=7, choice=choice, pairings=pairings),
        links=link_pages(Path("reports/compare.html")),
        curve=curve,
    )
