"""One editor's ballot as one HTML file: texts, style and script inside, no network, strict CSP.

The texts travel as a JSON block that the script shows through `textContent` only, so nothing in a
completion can become markup or script. Screens carry opaque ids; no side, kind or model is inside.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from stages.pages.html import TEMPLATES, render_page
from stages.study.design import Left, Slot, opaque_id
from stages.study.seal import Opening, page_id

OPPOSITE: dict[Left, Left] = {"policy": "base", "base": "policy", "better": "worse", "worse": "better"}


class Screen(NamedTuple):
    """What one screen shows."""

    slot_id: str
    prompt: str
    left: str
    right: str


def render_editor_page(opening: Opening, editor: str, slots: Sequence[Slot], key_sha256: str) -> str:
    """One editor's page, screens in the order drawn."""
    texts = texts_by_item(opening)
    return render_ballot_page(
        [Screen(slot.slot_id, *_sides(texts[slot.item_id], slot.left)) for slot in slots],
        study_id=opening.study_id,
        page_id=page_id(opening.secret, editor),
        editor=editor,
        key_sha256=key_sha256,
        synthetic=opening.synthetic,
        texts=opening.texts,
        language=opening.language,
        minutes=opening.minutes,
        has_repeats=opening.prereg.n_repeats > 0,
    )


def texts_by_item(opening: Opening) -> dict[str, Mapping[str, str]]:
    """item id -> prompt and both texts by what they are; anchors too."""
    items: dict[str, Mapping[str, str]] = {
        opaque_id(opening.secret, "item", item.prompt_id): {
            "prompt": item.prompt,
            "policy": item.policy_completion,
            "base": item.base_completion,
        }
        for item in opening.items
    }
    anchors = {
        opaque_id(opening.secret, "anchor", anchor.name): {
            "prompt": anchor.prompt,
            "better": anchor.better,
            "worse": anchor.worse,
        }
        for anchor in opening.anchors
    }
    return items | anchors


def _sides(texts: Mapping[str, str], left: Left) -> tuple[str, str, str]:
    return texts["prompt"], texts[left], texts[OPPOSITE[left]]


def render_ballot_page(
    screens: Sequence[Screen],
    *,
    study_id: str,
    page_id: str,
    editor: str,
    key_sha256: str,
    synthetic: bool,
    texts: str = "texts",
    language: str = "",
    minutes: float = 2.0,
    has_repeats: bool = True,
) -> str:
    """The page of one editor; equal values give equal bytes. `texts` and `language` say what is judged,
    `minutes` how long a screen is planned to take.
    """
    style = (TEMPLATES / "study/ballot.css").read_text(encoding="utf-8")
    script = (TEMPLATES / "study/ballot.js").read_text(encoding="utf-8")
    data = {
        "study_id": study_id,
        "page_id": page_id,
        "editor": editor,
        "key_sha256": key_sha256,
        "synthetic": synthetic,
        "screens": [screen._asdict() for screen in screens],
    }
    return render_page(
        "study/ballot.html.j2",
        editor=editor,
        synthetic=synthetic,
        texts=texts,
        language=language,
        minutes=f"{minutes:g}",
        has_repeats=has_repeats,
        style=Markup(style),  # noqa: S704  our own file, not data
        script=Markup(script),  # noqa: S704
        style_hash=csp_hash(style),
        script_hash=csp_hash(script),
        data=Markup(json_for_html(data)),  # noqa: S704  escaped by json_for_html
    )


def json_for_html(value: object) -> str:
    """ASCII JSON without `<`, `>` and `&`, so it cannot end its script element or open another."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def csp_hash(text: str) -> str:
    """The source expression that allows exactly this inline style or script."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
