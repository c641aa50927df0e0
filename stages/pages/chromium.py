"""A page as PDF, by a Chromium without a window."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from stages.errors import InputError, RuntimeCheckError
from stages.files.io import replacing

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE_SECONDS = 120.0
PDF_HEAD = b"%PDF-"
PDF_END, PDF_END_ROOM = b"%%EOF", 64  # bytes of the end among which the mark of a whole file stands


def find_chromium() -> str:
    """The path of an installed Chromium or Chrome; InputError with the way to get one."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise InputError(
            f"no Chromium found (looked for {', '.join(NAMES)}); install one with `apt-get install "
            "chromium`, or open the page in a browser and print it to a file"
        )
    return found


def print_pdf(page: Path, pdf: Path) -> None:
    """Print `page` (HTML) to `pdf`; InputError where there is no page, RuntimeCheckError if nothing came."""
    if not page.is_file():
        raise InputError(f"{page}: no such page; run `dvc repro report` first")
    with tempfile.TemporaryDirectory() as profile, replacing(pdf) as temporary:
        command = [
            find_chromium(),
            "--headless",
            "--disable-gpu",
            "--no-pdf-header-footer",
            f"--user-data-dir={profile}",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium refuses its sandbox to root
            f"--print-to-pdf={temporary.resolve()}",
            page.resolve().as_uri(),
        ]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise RuntimeCheckError(
                f"{command[0]} printed nothing in {PATIENCE_SECONDS:.0f} s; try again, "
                f"or print {page} by hand"
            ) from error
        written = temporary.read_bytes()
        if done.returncode or not written.startswith(PDF_HEAD):
            said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise RuntimeCheckError(f"{command[0]} could not print {page}: {said}; print it by hand")
        if PDF_END not in written[-PDF_END_ROOM:]:
            raise RuntimeCheckError(
                f"{pdf}: {command[0]} wrote only a part of it, as on a full disk; make room and print again"
            )
