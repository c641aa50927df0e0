"""Markup, scripts, links and formulas in every text that a page, a card or a table shows: shown, never run."""

import csv
import json
import re
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
import yaml

from stages import accuracy, gate, report, split, validate
from stages.files.io import write_csv
from stages.study.ballot_page import Screen, render_ballot_page
from stages.variants.compare import render_comparison
from stages.variants.comparison import Comparison
from stages.variants.variants import rank_candidates
from tests.support.decision_factory import (
    make_params,
    make_variant,
    metrics_documents,
    winrate_section,
    write_world,
)
from tests.support.hostile_factory import build_world
from tests.support.pair_factory import make_raw, write_rows

HOSTILE = (
    "</td></script></style></title></textarea><evil-tag onevil=1><script>evil()</script>\"><img src=x onevil=1>' onevil='1"
    "{{ 7 * 7 }}{% include 'evil' %} [evil](javascript:evil) ![evil](http://evil) `<evil-tag>` | # evil --> ]]>"
)
FORMULA = '=HYPERLINK("http://evil","click")'


class Elements(HTMLParser):
    """Every element of a page, with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]


def assert_nothing_runs(page: str, *, n_scripts: int = 0) -> None:
    found = Elements()
    found.feed(page)
    found.close()
    assert found.tags.count("script") == n_scripts
    assert not {"evil-tag", "img", "iframe", "object", "embed", "link"} & set(found.tags)
    assert not [name for name in found.attributes if name.startswith("on")]
    assert "src" not in found.attributes
    assert "49" not in page.split("evil()")[1][:60]  # no template of theirs is rendered
    assert "default-src 'none'" in page


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_hostile_world(folder: Path) -> None:
    """What `report` reads, with HOSTILE wherever a person or a model could have written it."""
    waiting = {
        "status": "pending",
        "n_ballots_expected": 3,
        "n_ballots_received": 0,
        "n_synthetic": 0,
        "reason": HOSTILE,
    }
    items = [
        {"prompt_id": f"{HOSTILE}{n}", "prompt": HOSTILE, "base_completion": HOSTILE, "policy_completion": f"{HOSTILE}!"}
        | {"identical": False, "tells": [], "synthetic": False}
        for n in range(3)
    ]  # fmt: skip
    write_world(folder, metrics_documents(winrate={"winrate": winrate_section() | waiting}), items)
    params = make_params()
    params["data"]["pairs"] = f"data/{HOSTILE}"
    params["split"]["salt"] = params["base_model"]["repo_id"] = HOSTILE
    params["train"]["lora_target_modules"] = [HOSTILE]
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    write_csv(Path("data/accuracy/slices.csv"), ["kind", "name", "k", "n", "accuracy", "low", "high"],
              [[kind, f"{HOSTILE}{kind}", 5, 10, 0.5, 0.2, 0.8] for kind in ("editor", "section", "length")])  # fmt: skip
    write_csv(Path("data/winrate/editors.csv"), ["editor", "value", "low", "high", "n", "rehearsal"],
              [[HOSTILE, 0.5, 0.2, 0.8, 50, False]])  # fmt: skip
    manifest = json.loads(Path("models/base/manifest.json").read_text(encoding="utf-8"))
    manifest |= {"name": HOSTILE, "licence": HOSTILE, "revision": HOSTILE, "files": {HOSTILE: "0" * 64}}
    Path("models/base/manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    gate.main()
    verdicts = json.loads(Path("metrics/gate.json").read_text(encoding="utf-8"))
    verdicts["gate"]["warnings"] = HOSTILE
    for name in ("accuracy", "winrate", "capability"):
        verdicts["gate"][name]["reasons"] = HOSTILE
    Path("metrics/gate.json").write_text(json.dumps(verdicts), encoding="utf-8")


def test_the_founders_page_runs_nothing(world: Path) -> None:
    write_hostile_world(world)
    page = report.founder_page(report.read_findings(), override=HOSTILE)
    assert_nothing_runs(page)
    assert "&lt;evil-tag" in page


def test_the_model_card_is_plain_text_and_a_head_that_can_be_read(world: Path) -> None:
    write_hostile_world(world)
    card = report.model_card(report.read_findings(), override=HOSTILE)
    _, head, body = card.split("---\n", 2)
    assert yaml.safe_load(head)["base_model"] == yaml.safe_load(head)["license_name"] == HOSTILE
    assert "<" not in body.replace("&lt;", "")
    assert not re.search(r"\]\(|!\[|\n# evil", body)
    assert "&lt;evil-tag" in body
    for line in body.split("\n"):
        assert line.count("`") % 2 == 0, line  # no text of theirs ends our code
        if line.startswith("| `"):
            assert line.count("|") == 3, line  # nor begins a cell


def test_the_comparison_runs_nothing(world: Path) -> None:
    variants = [make_variant(HOSTILE + name, 0.7, 0.01, 0.6, params={HOSTILE: name}) for name in "ab"]
    assert_nothing_runs(
        render_comparison(Comparison(rank_candidates(variants), n_looks=2, choice=None, pairings=[]))
    )


def test_a_ballot_page_runs_only_its_own_script(world: Path) -> None:
    screens = [Screen(HOSTILE, HOSTILE, HOSTILE, HOSTILE)]
    names = {"study_id": HOSTILE, "page_id": HOSTILE, "editor": HOSTILE, "key_sha256": HOSTILE}
    page = render_ballot_page(screens, **names, synthetic=False)
    assert_nothing_runs(page, n_scripts=2)  # the texts as data, and ours
    data = re.search(r'<script type="application/json" id="ballot">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert json.loads(data[1])["screens"][0]["left"] == HOSTILE


def test_the_pages_about_the_data_run_nothing(world: Path) -> None:
    build_world(world)
    rows = [
        make_raw(
            number,
            editor=f"{HOSTILE}{number % 3}",
            section=f"{HOSTILE}{number % 2}",
            group_id=f"{HOSTILE}{number}",
        )
        | {HOSTILE: HOSTILE, "pair_id": f"{HOSTILE}{number}"}
        for number in range(40)
    ]
    rows[3] |= {
        "chosen": f"{HOSTILE} is what the first of them says.",
        "rejected": f"{HOSTILE} and the other.",
    }
    prompts = [{"prompt_id": f"{HOSTILE}{n}", "prompt": f"{HOSTILE} number {n}, please."} for n in range(12)]
    write_rows(Path("data/raw/pairs.jsonl"), rows)
    write_rows(Path("data/raw/prompts.jsonl"), [*prompts, prompts[0]])
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    params["data"] |= {"pairs": "data/raw/pairs.jsonl", "prompts": "data/raw/prompts.jsonl"}
    params["generate"]["n_prompts"] = 1
    for rule in params["validate"]["rules"].values():
        rule["allowed_share"] = 1.0
    params["validate"]["rules"]["prompts_are_fresh"]["set_aside"] = False  # they quote what the pairs quote
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    validate.main()
    split.main()
    for page in ("data/validate/report.html", "data/split/report.html"):
        assert_nothing_runs(Path(page).read_text(encoding="utf-8"))


def test_no_table_that_is_written_holds_a_formula(world: Path) -> None:
    build_world(world)
    for path in (Path("data/holdout/margins.jsonl"), Path("data/split/holdout.jsonl")):
        rows = [
            json.loads(line) | {"editor": FORMULA, "section": f"\t{FORMULA}"}
            for line in path.read_text().splitlines()
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    accuracy.main()
    tables = [path.read_bytes().decode() for path in Path("data").rglob("*.csv")]
    cells = [cell for text in tables for row in csv.reader(StringIO(text, newline="")) for cell in row]
    texts = [cell for cell in cells if not is_number(cell)]
    assert f"'{FORMULA}" in texts
    assert [cell for cell in texts if cell.startswith(("=", "+", "-", "@", "\t", "\r"))] == []
    gate.main()
    report.main()
    assert FORMULA.replace('"', "&#34;") in Path("reports/founder.html").read_text(encoding="utf-8")


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
