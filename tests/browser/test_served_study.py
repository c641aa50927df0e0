"""Three editors judge at once on a served study: one browser is killed on the way, one keeps nothing."""

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from stages.study.folder import ballots_folder, page_file, read_receipts, study_folder
from tests.browser.test_ballot_page import KEYS, seal, violations
from tests.support.served_study import serve_made_up_study
from tests.support.study_factory import page_data, prefers


def open_link(context: BrowserContext, link: str) -> Page:
    page = context.new_page()
    page.set_default_timeout(10_000)
    host = urlsplit(link).netloc
    page.on("request", lambda request: urlsplit(request.url).netloc in (host, "") or pytest.fail(request.url))
    page.goto(link)
    if page.is_visible("#begin"):
        page.click("#begin")
    return page


@pytest.mark.slow
def test_three_browsers_at_once_hand_in_on_the_server(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_made_up_study(tmp_path, monkeypatch) as served:
        contexts = {editor: browser.new_context() for editor in served.links}
        contexts["editor-3"].add_init_script("Storage.prototype.setItem = () => { throw new Error('full'); }")
        pages = {editor: open_link(contexts[editor], link) for editor, link in served.links.items()}
        choices = {
            editor: [
                prefers("POLICYTEXT")(screen)
                for screen in page_data(_sealed(served.study_id, editor))["screens"]
            ]
            for editor in pages
        }
        half = len(choices["editor-1"]) // 2
        for place in range(half):  # by turns
            for editor, page in pages.items():
                page.keyboard.press(KEYS[choices[editor][place]])
                page.keyboard.press("Enter")
        pages["editor-2"].close()  # killed: nothing is asked, what the browser keeps is there
        pages["editor-2"] = open_link(contexts["editor-2"], served.links["editor-2"])
        assert pages["editor-2"].inner_text("#place").startswith(f"{half} of ")
        assert "does not keep your answers" in pages["editor-3"].inner_text("#warning")
        for editor, page in pages.items():
            for choice in choices[editor][half:]:
                page.keyboard.press(KEYS[choice])
                page.keyboard.press("Enter")
            data, receipt = seal(page)
            exported = tmp_path / f"{editor}.json"
            exported.write_bytes(data)
            form = open_link(contexts[editor], f"{served.links[editor]}/hand-in")
            assert violations(form) == []
            form.set_input_files("#ballot", exported)
            form.fill("#receipt", receipt)
            form.click("button")
            expect(form.locator("[role=status]")).to_contain_text(receipt)
            assert (ballots_folder(served.study_id) / f"{editor}.json").read_bytes() == data
            assert read_receipts(served.study_id)[f"{editor}.json"] == hashlib.sha256(data).hexdigest()
        for context in contexts.values():
            context.close()


def _sealed(study_id: str, editor: str) -> Path:
    return study_folder(study_id) / page_file(editor)
