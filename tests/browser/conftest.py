"""A real Chromium for the ballot page; its absence is a failure that says what to do."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Error, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except Error as error:
            pytest.fail(
                "no Chromium to test the ballot page with: `apt-get install chromium`, or "
                f"`.venv/bin/playwright install chromium` ({error.message.splitlines()[0]})",
                pytrace=False,
            )
        yield browser
        browser.close()
