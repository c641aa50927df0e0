"""The page of plots in a real Chromium without a network: every panel is drawn, its axes have names."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser

from stages.errors import InputError
from stages.variants.plots_page import write_plots

ROOT = Path(__file__).parent.parent.parent
LOG = "step,loss,rewards/margins,logps/chosen,logps/rejected\n1,0.69,0.0,-70.5,-80.5\n2,0.5,0.4,-71.0,-85.0\n"
SUBJECTS = """subject,category,n,base_acc,policy_acc,n_worse,n_better,drop,p_holm
anatomy,stem,2,0.5,0.5,0,0,0.0,1.0
law,humanities,2,0.5,0.0,1,0,0.5,1.0
"""
RULES = "name,accuracy,low,high,n\npolicy,0.7,0.6,0.8,40\n</script><b>longer wins,0.5,0.4,0.6,40\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC repository with our plots, of which five have data."""
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q", "--no-scm"], check=True)
    shutil.copytree(ROOT / ".dvc/plots", tmp_path / ".dvc/plots")
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"plots": plots}), encoding="utf-8")
    return tmp_path


def test_every_panel_is_drawn_without_a_network(repository: Path, browser: Browser) -> None:
    (repository / "data/train").mkdir(parents=True)
    (repository / "data/train/log.csv").write_text(LOG, encoding="utf-8")
    (repository / "data/accuracy").mkdir()
    (repository / "data/accuracy/rules.csv").write_text(RULES, encoding="utf-8")
    (repository / "data/capability").mkdir()
    (repository / "data/capability/by_subject.csv").write_text(SUBJECTS, encoding="utf-8")
    found = write_plots([], repository / "plots.html")
    assert len(found.drawn) == 5
    assert "Win rate by editor" in found.empty

    context = browser.new_context(offline=True)
    page = context.new_page()
    asked, failed = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.goto((repository / "plots.html").as_uri())
    page.wait_for_function("document.querySelectorAll('section svg').length === 5")
    marks = page.eval_on_selector_all(
        "section",
        "all => all.map(one => one.querySelectorAll('svg .role-mark path, svg .role-mark line').length)",
    )
    titles = page.eval_on_selector_all(
        "section", "all => all.map(one => one.querySelectorAll('svg .role-axis-title text').length)"
    )
    text = page.inner_text("body")
    context.close()
    assert [url for url in asked if not url.startswith("file:")] == []
    assert failed == []
    assert min(marks) > 0, marks
    assert min(titles) >= 1, titles
    assert "optimizer step" in text
    assert "Left out, because there is nothing to draw yet" in text


def test_made_up_texts_and_simulated_editors_are_marked(repository: Path) -> None:
    (repository / "data/winrate").mkdir(parents=True)
    (repository / "data/accuracy").mkdir()
    (repository / "data/accuracy/rules.csv").write_text(RULES, encoding="utf-8")
    editors = repository / "data/winrate/editors.csv"
    made_up = "<strong>Stop.</strong> Made up: a program wrote"
    for rehearsal in (False, True):
        editors.write_text(
            f"editor,value,low,high,n,rehearsal\nann,0.6,0.5,0.7,9,{rehearsal}\n", encoding="utf-8"
        )
        write_plots([], repository / "plots.html")
        page = (repository / "plots.html").read_text(encoding="utf-8")
        assert page.count("<strong>REHEARSAL.</strong>") == rehearsal
        assert made_up not in page
    (repository / "metrics").mkdir()
    (repository / "metrics/split.json").write_text('{"split": {"is_synthetic": true}}', encoding="utf-8")
    write_plots([], repository / "plots.html")
    assert made_up in (repository / "plots.html").read_text(encoding="utf-8")


def test_without_any_result_nothing_is_written(repository: Path) -> None:
    with pytest.raises(InputError, match="no plot has data yet; run `dvc repro`"):
        write_plots([], repository / "plots.html")
    assert not (repository / "plots.html").exists()
