"""Metrics files as evidence: a section that fits its model, or the reason why it cannot be used."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from stages.core.evidence import (
    CapabilityEvidence,
    CapabilityStatus,
    Evidence,
    WinrateEvidence,
    WinrateStatus,
)


class Problem(NamedTuple):
    """Why a metrics section cannot be believed, as one sentence."""

    sentence: str


Document = Mapping[str, Any] | Problem | None  # a file's content, why it is unreadable, or no file
Model = TypeVar("Model", bound=Evidence)


def parse_evidence(document: Document, section: str, model: type[Model]) -> Model | Problem | None:
    """The document's section as `model`, or the first reason why it cannot be used; None: no file."""
    if document is None or isinstance(document, Problem):
        return document
    if not isinstance(document.get(section), Mapping):
        return Problem(f"The metrics have no part called {section}.")
    try:
        return model.model_validate(dict(document[section]))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join([section, *(str(part) for part in first["loc"])])
        return Problem(f"{key} cannot be used: {first['msg'].removeprefix('Value error, ')}.")


def require_evidence(document: Document, section: str, model: type[Model]) -> Model | Problem:
    """`parse_evidence` where a missing file is a problem too."""
    parsed = parse_evidence(document, section, model)
    return Problem(f"The metrics file of {section} is missing.") if parsed is None else parsed


def parse_winrate(document: Document) -> WinrateEvidence | WinrateStatus | Problem | None:
    """The study's status, with its numbers where it is complete; a mere rehearsal is no study."""
    if isinstance(document, Mapping) and "winrate" not in document and "rehearsal" in document:
        rehearsal = parse_evidence(document, "rehearsal", WinrateStatus)
        return _only_rehearsed(rehearsal) if isinstance(rehearsal, WinrateStatus) else rehearsal
    status = parse_evidence(document, "winrate", WinrateStatus)
    if isinstance(status, WinrateStatus) and status.status == "complete":
        return parse_evidence(document, "winrate", WinrateEvidence)
    return status


def _only_rehearsed(rehearsal: WinrateStatus) -> WinrateStatus:
    """Made up whatever the data are, and without a single ballot that counts."""
    return WinrateStatus(
        status="pending",
        reason="Simulated editors have rehearsed the study; no editor has judged.",
        n_ballots_expected=rehearsal.n_ballots_expected,
        n_ballots_received=0,
        n_synthetic=max(rehearsal.n_synthetic, 1),
    )


def parse_capability(document: Document) -> CapabilityEvidence | CapabilityStatus | Problem | None:
    """The drop, or a bare status where the two models were not asked the same questions."""
    status = parse_evidence(document, "capability", CapabilityStatus)
    if isinstance(status, CapabilityStatus) and status.same_questions:
        return parse_evidence(document, "capability", CapabilityEvidence)
    return status
