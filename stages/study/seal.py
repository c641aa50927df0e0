"""The seal of a study: what is committed before the first ballot, and the key that opens it.

The key holds the secret, 256 random bits, so its SHA-256 tells nothing before it is revealed and
fits one key only afterwards: whoever published the commitment cannot choose sides later.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from stages.files.hashing import sha256_hex
from stages.files.json_text import canonical_json
from stages.files.record import Record, ShortName
from stages.study.anchors import Anchor
from stages.study.design import Slot, draw_pages, opaque_id
from stages.study.items import BlindItem
from stages.study.prereg import Prereg

STUDY_ID_DIGITS = 12
REHEARSAL = "rehearsal-"
LABELS = "labels-"  # pairs judged again, see stages/labelling/
STUDY_ID = re.compile(rf"({REHEARSAL}|{LABELS})?[0-9a-f]{{{STUDY_ID_DIGITS}}}")

Two = Field(min_length=2, max_length=2)
CountOrZero = Annotated[int, Field(ge=0)]


class Opening(NamedTuple):
    """Everything an open study is made of."""

    study_id: str
    items: Sequence[BlindItem]
    prereg: Prereg
    secret: bytes
    synthetic: bool
    continues: str = ""  # the study of the first look
    items_sha256: str = ""  # of the items' file; "" for data/blind/items.jsonl and two models' texts
    anchors: Sequence[Anchor] = ()
    texts: str = "texts"  # what the pages call what is judged, and its language
    language: str = ""
    minutes: float = 2.0  # that a screen is planned to take


class TableRow(Record):
    """One prompt of the study, public from the start: the two texts' hashes stand in their own order."""

    item_id: str
    prompt_id: str
    prompt_sha256: str
    status: Literal["shown", "identical", "void"]
    text_sha256s: Annotated[list[str], Two]  # sorted, so their order tells no side
    n_chars: Annotated[list[CountOrZero], Two]  # of the same texts, in the same order
    synthetic: bool


class PageSeal(Record):
    """One editor's page: its file, bytes and the ids of its screens in order."""

    file: str
    sha256: str
    page_id: str
    slot_ids: list[str]


class Commitment(Record):
    """What is published when a study opens. `seal_sha256` is over all the rest."""

    format: Literal["blue-pencil-commitment-1"] = "blue-pencil-commitment-1"
    study_id: str
    synthetic: bool  # a rehearsal
    items_sha256: str
    generations_sha256: dict[Literal["base", "policy"], str]
    prereg_sha256: str
    table_sha256: str
    pages: dict[ShortName, PageSeal]
    key_sha256: str
    continues: str = ""  # the study of the first look, where this is the second of two
    continues_sha256: str = ""  # of that study's commitment.json
    seal_sha256: str


class Key(Record):
    """What opens the study: the secret, which text is the policy's, and every screen's left side."""

    format: Literal["blue-pencil-key-1"] = "blue-pencil-key-1"
    study_id: str
    secret: str  # hex
    policy_sha256: dict[str, str]  # item id -> hash of the policy's text
    pages: dict[str, list[Slot]]


class Reveal(Record):
    """What was there when the key was revealed; a ballot that comes later was not judged blind."""

    study_id: str
    ballots_sha256: dict[str, str]  # file name -> hash
    missing_editors: list[str]
    reason: str  # why it was revealed although ballots were missing; "" when none was


def study_id_of(items_file: bytes) -> str:
    """The id of the study that the bytes of `data/blind/items.jsonl` make."""
    return sha256_hex(items_file)[:STUDY_ID_DIGITS]


def make_table(secret: bytes, items: Sequence[BlindItem]) -> list[TableRow]:
    """The public item table, ordered by item id."""
    return sorted((_table_row(secret, item) for item in items), key=lambda row: row.item_id)


def _table_row(secret: bytes, item: BlindItem) -> TableRow:
    texts = sorted(
        (sha256_hex(text.encode()), len(text)) for text in (item.base_completion, item.policy_completion)
    )
    return TableRow(
        item_id=opaque_id(secret, "item", item.prompt_id),
        prompt_id=item.prompt_id,
        prompt_sha256=sha256_hex(item.prompt.encode()),
        status=item.status,
        text_sha256s=[sha256 for sha256, _ in texts],
        n_chars=[n_chars for _, n_chars in texts],
        synthetic=item.synthetic,
    )


def make_key(secret: bytes, items: Sequence[BlindItem], design: Prereg, *, study_id: str) -> Key:
    """Draw every lot. ValueError where the design does not fit the items."""
    shown = [item.prompt_id for item in items if item.status == "shown"]
    return Key(
        study_id=study_id,
        secret=secret.hex(),
        policy_sha256={
            opaque_id(secret, "item", item.prompt_id): sha256_hex(item.policy_completion.encode())
            for item in items
        },
        pages=draw_key_pages(secret, shown, design),
    )


def draw_key_pages(secret: bytes, shown_prompt_ids: Sequence[str], design: Prereg) -> dict[str, list[Slot]]:
    """Every editor's screens, with the anchors that the design names."""
    return draw_pages(secret, shown_prompt_ids, design.anchors, design)


def page_id(secret: bytes, editor: str) -> str:
    """Names one editor's page; ballots carry it."""
    return opaque_id(secret, "page", editor)


def key_bytes(key: Key) -> bytes:
    """The bytes of `key.json`, which the commitment's `key_sha256` is over."""
    return (canonical_json(key.model_dump(mode="json")) + "\n").encode()


def seal(values: Mapping[str, object]) -> Commitment:
    """Close a commitment: check the rest of its values and add their hash."""
    draft = Commitment.model_validate({**values, "seal_sha256": ""})
    return draft.model_copy(update={"seal_sha256": seal_sha256(draft)})


def seal_sha256(commitment: Commitment) -> str:
    """The hash over all of a commitment but this hash."""
    rest = commitment.model_dump(mode="json", exclude={"seal_sha256"})
    return sha256_hex(canonical_json(rest).encode())


def commitment_bytes(commitment: Commitment) -> bytes:
    """The bytes of `commitment.json`."""
    return (canonical_json(commitment.model_dump(mode="json")) + "\n").encode()
