"""`bluepencil report`: where the founder's page is, and the page as PDF."""

from pathlib import Path
from typing import Annotated

import typer

from stages.cli.written_files import ending_in
from stages.errors import InputError
from stages.pages.chromium import print_pdf
from stages.run import paths
from stages.run.progress import waiting


def report(
    pdf: Annotated[
        Path | None,
        typer.Option(callback=ending_in(".pdf"), help="Print the page to this file, with a Chromium."),
    ] = None,
    page: Annotated[
        Path, typer.Option(help="The page: that of `dvc repro report`, or of a release.")
    ] = paths.FOUNDER_PAGE,
) -> None:
    """Name the founder's page and, if asked, print it to PDF: one A4 sheet and an appendix."""
    if not page.is_file():
        raise InputError(f"{page}: no such page; run `dvc repro report` first")
    print(f"The founder's page: {page}")
    if pdf is not None:
        with waiting("printing"):
            print_pdf(page, pdf)
        print(f"As PDF: {pdf}")
