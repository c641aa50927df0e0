"""The metrics files that a verdict rests on, read without giving up on a broken one."""

from pathlib import Path

from stages.decision.evidence import Document, Problem
from stages.errors import InputError
from stages.files.io import read_json
from stages.run import paths

EVIDENCE = {
    "validate": paths.VALIDATE_METRICS,
    "split": paths.SPLIT_METRICS,
    "accuracy": paths.ACCURACY_METRICS,
    "winrate": paths.WINRATE_METRICS,
    "capability": paths.CAPABILITY_METRICS,
}


def read_documents() -> dict[str, Document]:
    """Every file of EVIDENCE by its name."""
    return {name: read_document(path) for name, path in EVIDENCE.items()}


def read_document(path: Path) -> Document:
    """A metrics file's content; None where there is none, and why where it cannot be read."""
    if not path.exists():
        return None
    try:
        return read_json(path)
    except InputError as error:
        return Problem(f"{error}.")
