"""Every page in every state, in one browser: axe, no sideways scrolling, letters in drawings of 12 px and more."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.test_ballot_page import AXE, violations
from tests.support.every_page import write_every_page

VIEWS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "phone, dark": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
    "small phone": {"viewport": {"width": 320, "height": 640}},
}
DARK = (
    "founder-full",
    "founder-fail",
    "data-unfit",
    "split",
    "labels",
    "compare",
    "plots",
    "hand-in-problem",
)
FAULTS = """() => {
  const hasWords = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  const found = [];
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) found.push(`scrolls sideways by ${wide}`);
  for (const figure of document.querySelectorAll("figure, .scroll svg")) {
    const marks = [...figure.querySelectorAll("*")].filter((e) => hasWords(e) && e.getClientRects().length);
    const boxes = marks.map((e) => e.getBoundingClientRect());
    const edge = figure.getBoundingClientRect();
    marks.forEach((mark, i) => {
      const words = mark.textContent.trim().slice(0, 30);
      const size = parseFloat(getComputedStyle(mark).fontSize);
      if (size < 12) found.push(`${size} px: ${words}`);
      if (boxes[i].left < edge.left - 1 || boxes[i].right > edge.right + 1) found.push(`leaves its drawing: ${words}`);
      for (let j = i + 1; j < marks.length; j += 1) {
        const across = Math.min(boxes[i].right, boxes[j].right) - Math.max(boxes[i].left, boxes[j].left);
        const down = Math.min(boxes[i].bottom, boxes[j].bottom) - Math.max(boxes[i].top, boxes[j].top);
        if (across > 1 && down > 3) found.push(`${words} lies on ${marks[j].textContent.trim().slice(0, 30)}`);
      }
    });
  }
  return found;
}"""


def faults(page: Page) -> list[str]:
    found: list[str] = page.evaluate(FAULTS)
    return found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_every_page(tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize(
    "view", [pytest.param(view, marks=[pytest.mark.slow] * (view != "desktop")) for view in VIEWS]
)
def test_every_page_in_every_state_meets_wcag_and_keeps_its_letters_large(
    browser: Browser, pages: dict[str, Path], view: str
) -> None:
    assert len(pages) >= 18
    context = browser.new_context(**VIEWS[view])
    context.add_init_script(AXE)
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"script error: {error}"))
    page.on("console", lambda message: message.type == "error" and pytest.fail(f"console: {message.text}"))
    page.on("request", lambda request: request.url.startswith("file:") or pytest.fail(request.url))
    wrong: dict[str, list[str]] = {}
    for name, path in pages.items():
        page.goto(path.as_uri())
        if name == "plots":
            page.wait_for_selector("svg")
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        found = faults(page)
        if view == "desktop" or (view == "phone, dark" and name in DARK):
            found += violations(page)
        if view == "small phone":
            page.emulate_media(media="print")
            found += [f"on paper: {fault}" for fault in faults(page) if "px" in fault]
            page.emulate_media(media="screen")
        if found:
            wrong[name] = found
    context.close()
    assert wrong == {}
