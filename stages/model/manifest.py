"""What `models/base` is: the record beside its files."""

from stages.files.record import Record

MANIFEST = "manifest.json"


class BaseManifest(Record):
    """Where the base came from, and the hash of every file."""

    source: str
    name: str
    revision: str
    licence: str
    n_parameters: int
    files: dict[str, str]  # name: hex SHA-256
