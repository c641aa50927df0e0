"""The model card of a release: what `report` says of the policy, made true of the model that ships."""

from typing import Any

from stages.adapters.html import render_page
from stages.core.lineage import Lineage


def release_card(card: str, lineage: Lineage) -> str:
    """A card as `report` writes it, now for whole weights, and with the release's own part.

    That part stands first after the title: who downloads a model reads that far.
    """
    from huggingface_hub import ModelCard

    parsed: Any = ModelCard(card)
    parsed.data.library_name = "transformers"
    title, _, rest = parsed.text.lstrip("\n").partition("\n\n")
    note = render_page("release_note.md.j2", lineage=lineage, model=lineage.model)
    return f"---\n{parsed.data.to_yaml()}\n---\n\n{title}\n\n{note}{rest}"
