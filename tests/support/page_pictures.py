"""Take the pictures of the pages that the docs show: `python -m tests.support.page_pictures` writes docs/images."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from stages.decision.judge import judge_accuracy, judge_capability, judge_winrate, summarize_gates
from stages.decision.verdicts import parse_gates
from stages.decision.writing_remark import Rate
from stages.measures.paired import PairedDifference, paired_difference
from stages.pages.html import link_pages
from stages.study.ballot_page import Screen, render_ballot_page
from stages.variants.compare import render_comparison
from stages.variants.comparison import Choice, Comparison, Pairing
from stages.variants.variants import Selection, Variant, interval_after_choosing, rank_candidates
from tests.support.decision_factory import (
    LIMITS,
    ROOT,
    make_accuracy,
    make_capability,
    make_facts,
    make_variant,
    make_winrate,
)

PICTURES = ROOT / "docs/images"
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def take_pictures() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        ballot, comparison = Path(folder) / "ballot.html", Path(folder) / "compare.html"
        ballot.write_text(sample_ballot(), encoding="utf-8")
        comparison.write_text(made_up_comparison(), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = open_page(
            browser, ROOT / "tests/golden/founder_pass.html", viewport={"width": 900, "height": 1450}
        )
        page.screenshot(path=PICTURES / "founder-page.png")
        open_page(browser, comparison, **DESKTOP).screenshot(
            path=PICTURES / "compare-page.png", full_page=True
        )
        page = open_page(browser, ballot, **PHONE)
        judge(page)
        page.screenshot(path=PICTURES / "ballot-phone.png")
        page = open_page(browser, ballot, **DESKTOP)
        page.screenshot(path=PICTURES / "ballot-start.png")
        judge(page)
        page.screenshot(path=PICTURES / "ballot-desktop.png")
        while not page.is_visible("#review"):
            page.keyboard.press("2")
            page.keyboard.press("Enter")
        page.click("#seal")
        page.click("#seal-yes")
        page.screenshot(path=PICTURES / "ballot-sealed.png")
        browser.close()


def open_page(browser: Browser, path: Path, **settings: Any) -> Page:
    page = browser.new_context(**settings).new_page()
    page.goto(path.as_uri())
    return page


def judge(page: Page) -> None:
    """The first screen answered, the second chosen."""
    page.click("#begin")
    for key in ("1", "Enter", "3"):
        page.keyboard.press(key)


def sample_ballot() -> str:
    lines = (ROOT / "data/sample/pairs.jsonl").read_text(encoding="utf-8").splitlines()[:62]
    rows = [json.loads(line) for line in lines]
    return render_ballot_page(
        [Screen(f"{n:012x}", row["prompt"], row["rejected"], row["chosen"]) for n, row in enumerate(rows)],
        study_id="0123456789ab", page_id="ba9876543210", editor="editor-1", key_sha256="c" * 64,
        synthetic=False, texts="grant-application paragraphs", language="en",
    )  # fmt: skip


def made_up_comparison() -> str:
    """Six invented variants of which the first two were paired."""
    variants = [
        make_judged(f"beta-{beta}", beta, n) for n, beta in enumerate((0.05, 0.1, 0.2, 0.3, 0.5, 0.8))
    ]
    first, second = (one.runs[0].name for one in rank_candidates(variants)[:2])
    # As the table has them: 146 and 148 of 200, 222 and 225 of 300, 96 right answers fewer.
    paired = [differ(200, 9, 11), differ(300, 12, 15), differ(14042, 190, 286)]
    wins, pairs = [1.0] * 225 + [0.0] * 75, [str(number) for number in range(300)]
    plain, corrected = (interval_after_choosing(wins, pairs, n_looks=n) for n in (1, 6))
    choice = Choice(first, 6, 225, 300, plain, corrected)
    comparison = Comparison(rank_candidates(variants), 6, choice, [Pairing(first, second, *paired)])
    return render_comparison(comparison, links=link_pages(Path("reports/compare.html")))


def differ(n: int, n_up: int, n_down: int) -> PairedDifference:
    """Two variants on `n` items: the second alone is right on `n_up`, the first alone on `n_down`."""
    return paired_difference([1.0] * n_up + [-1.0] * n_down + [0.0] * (n - n_up - n_down), None)


def make_judged(name: str, beta: float, number: int) -> Variant:
    k, facts = (214, 225, 219, 222, 211, 204)[number], make_facts()
    n_worse = 470 + 12 * number * number
    gates = summarize_gates(
        accuracy=judge_accuracy(make_accuracy(k), facts, limits=LIMITS.accuracy),
        winrate=judge_winrate(make_winrate(90 + number, 6, 54 - number), facts, limits=LIMITS.winrate),
        capability=judge_capability(make_capability(n_worse, 430), facts, limits=LIMITS.capability),
    )
    made_up = Rate(base=1.0, policy=1.1, difference=0.1, low=-0.3, high=0.5)
    right = round((k - 3) / 300 * 200)
    share = Selection(right / 200, (right - 12) / 200, (right + 12) / 200, 200)
    return make_variant(name, params={"train.beta": str(beta)})._replace(
        gates=parse_gates({"gate": gates}), selection=share, mean_n_tokens=90.0 + 6 * number,
        length_ratio=1 + number / 16, made_up=made_up,
    )  # fmt: skip


if __name__ == "__main__":
    take_pictures()
