"""The founder's page on paper, by the Chromium of this machine: the first sheet must hold the decision."""

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stages.cli.app import app
from stages.cli.report import report
from stages.errors import InputError, RuntimeCheckError
from stages.pages import chromium
from stages.pages.chromium import print_pdf
from tests.support.decision_factory import ROOT

GOLDEN = ROOT / "tests/golden"
A4 = (595, 842)  # points


def sheets(pdf: bytes) -> list[tuple[float, float]]:
    """Width and height of every page, in points."""
    boxes = re.findall(rb"/MediaBox \[\s*0 0 ([\d.]+) ([\d.]+)\s*\]", pdf)
    return [(float(width), float(height)) for width, height in boxes]


def test_the_page_is_one_a4_sheet_and_an_appendix(tmp_path):
    # of the six states the one with the longest first sheet, made longer by everything that may stand on it
    page = (GOLDEN / "founder_inconclusive.html").read_text(encoding="utf-8")
    said = (
        "Rehearsal on made-up data. Decide nothing from this page.",
        "The model learned from 48 of 2,000 pairs and was tested on 60 of 300 set-aside pairs.",
        "On the second set of questions the new model lost more than on the first.",
    )
    notices = "".join(f'<p class="notice warning"><strong>Warning.</strong> {one}</p>' for one in said)
    assert page.count('<section aria-labelledby="tests">') == 1
    page = page.replace('<section aria-labelledby="tests">', f'{notices}<section aria-labelledby="tests">')
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    print_pdf(tmp_path / "page.html", tmp_path / "page.pdf")
    found = sheets((tmp_path / "page.pdf").read_bytes())
    assert len(found) == 3  # the decision; texts side by side; a closer look
    for width, height in found:
        assert (width, height) == pytest.approx(A4, abs=1.5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "page.pdf"]


def test_without_chromium_the_command_to_run_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="apt-get install chromium"):
        print_pdf(GOLDEN / "founder_pass.html", tmp_path / "page.pdf")
    assert list(tmp_path.iterdir()) == []


def test_half_a_pdf_takes_no_place(tmp_path, monkeypatch):
    (tmp_path / "page.pdf").write_bytes(b"the one of yesterday")
    fake = tmp_path / "chromium"
    fake.write_text(
        '#!/bin/sh\nfor word in "$@"; do case $word in --print-to-pdf=*) echo %PDF-1.4 > "${word#*=}";; esac; done\n',
        encoding="utf-8",
    )
    fake.chmod(0o755)
    monkeypatch.setattr(chromium, "find_chromium", lambda: str(fake))
    with pytest.raises(RuntimeCheckError, match="only a part of it"):
        print_pdf(GOLDEN / "founder_pass.html", tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes() == b"the one of yesterday"


@pytest.mark.parametrize("arguments", [["report", "--pdf"], ["compare", "--page"], ["plots", "--page"]])
def test_a_page_is_not_written_over_a_file_of_another_kind(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("a: 1\n", encoding="utf-8")
    done = CliRunner().invoke(app, [*arguments, "params.yaml"])
    assert (done.exit_code, "does not end in" in done.output) == (2, True)
    assert (tmp_path / "params.yaml").read_text(encoding="utf-8") == "a: 1\n"


@pytest.mark.parametrize("script", ["exit 3", "true"])
def test_a_chromium_that_prints_nothing_leaves_nothing(tmp_path, monkeypatch, script):
    fake = tmp_path / "chromium"
    fake.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    fake.chmod(0o755)
    monkeypatch.setattr(chromium, "find_chromium", lambda: str(fake))
    with pytest.raises(RuntimeCheckError, match="could not print"):
        print_pdf(GOLDEN / "founder_pass.html", tmp_path / "out/page.pdf")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_chromium_that_hangs_is_given_up(tmp_path, monkeypatch):
    fake = tmp_path / "chromium"
    fake.write_text("#!/bin/sh\nexec sleep 30\n", encoding="utf-8")
    fake.chmod(0o755)
    monkeypatch.setattr(chromium, "find_chromium", lambda: str(fake))
    monkeypatch.setattr(chromium, "PATIENCE_SECONDS", 0.2)
    with pytest.raises(RuntimeCheckError, match="printed nothing in 0 s"):
        print_pdf(GOLDEN / "founder_pass.html", tmp_path / "page.pdf")
    assert not (tmp_path / "page.pdf").exists()


def test_without_a_page_the_way_out_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="dvc repro report"):
        report(pdf=None, page=Path("reports/founder.html"))
    with pytest.raises(InputError, match="dvc repro report"):
        print_pdf(Path("gone.html"), Path("gone.pdf"))


def test_the_command_names_the_page(tmp_path, monkeypatch):
    done = CliRunner().invoke(app, ["report", "--page", str(GOLDEN / "founder_pass.html")])
    assert done.exit_code == 0
    assert "founder_pass.html" in done.stdout
