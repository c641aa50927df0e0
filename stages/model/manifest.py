"""What `models/base` is: the record beside its files."""

from typing import Any

from pydantic import Field

from stages.files.record import Record

MANIFEST = "manifest.json"


class Rendering(Record):
    """What the chat template is given beside the messages, the same in every stage.

    `template_date` (YYYY-MM-DD) is the day that it takes for today.
    """

    template_date: str = "2025-01-01"
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)


class BaseManifest(Record):
    """Where the base came from, and the hash of every file."""

    source: str
    name: str
    revision: str
    licence: str
    n_parameters: int
    files: dict[str, str]  # name: hex SHA-256
    rendering: Rendering = Rendering()
