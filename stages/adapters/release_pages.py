"""The card and the founder's page of a release: what `report` wrote, with a note of the release on top."""

import re
from typing import Any

from stages.adapters.html import render_page
from stages.core.lineage import Lineage
from stages.errors import InputError

MAIN = re.compile(r"<main\b[^>]*>\n?")


def release_card(card: str, lineage: Lineage) -> str:
    """`reports/model_card.md` for the model that ships: whole weights, whatever method trained them."""
    from huggingface_hub import ModelCard

    parsed: Any = ModelCard(card)
    parsed.data.library_name = "transformers"
    title, _, rest = parsed.text.lstrip("\n").partition("\n\n")
    return f"---\n{parsed.data.to_yaml()}\n---\n\n{title}\n\n{_note('release_note.md.j2', lineage)}{rest}"


def release_founder_page(page: str, lineage: Lineage) -> str:
    """`reports/founder.html` with the note as the first thing on it."""
    match = MAIN.search(page)
    if match is None:
        raise InputError("reports/founder.html: has no <main> to note a release in; run `dvc repro report`")
    return page[: match.end()] + _note("release_note.html.j2", lineage) + page[match.end() :]


def _note(template: str, lineage: Lineage) -> str:
    reason = " ".join(lineage.decision.override.split())
    return render_page(template, lineage=lineage, model=lineage.model, reason=reason)
