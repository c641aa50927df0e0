"""A real Chromium for the ballot page; its absence, or Playwright's, is a failure that says what to do."""

import importlib.util
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
NO_PLAYWRIGHT = (
    "the ballot page is tested with Playwright and axe, and {} is not installed: run `make venv`, or "
    "`.venv/bin/python -m pip install --no-deps -r requirements.lock`"
)
NO_BROWSER = (
    "no Chromium to test the ballot page with: run `apt-get install chromium`, or "
    "`.venv/bin/python -m playwright install chromium` ({})"
)


def pytest_collect_file(file_path, parent):  # type: ignore[no-untyped-def]  # pytest's own types
    """Without this, a missing package would be a traceback of an import and no word of what to run."""
    if file_path.suffix == ".py" and file_path.name.startswith("test_"):
        for name in ("playwright", "axe_playwright_python"):
            if importlib.util.find_spec(name) is None:
                raise pytest.Collector.CollectError(NO_PLAYWRIGHT.format(name))


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    from playwright.sync_api import Error, sync_playwright

    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except Error as error:
            pytest.fail(NO_BROWSER.format(error.message.splitlines()[0]), pytrace=False)
        yield browser
        browser.close()
