"""`lineage.json` and `SHA256SUMS`: what a release is, and what each file of it must hash to.

Three rings protect a release. `SHA256SUMS` lists every file; `lineage.json` lists them again, but
itself and `SHA256SUMS`, and closes with a hash over its own content; the annotated git tag carries
the SHA-256 of `SHA256SUMS`. Whoever changes a byte must change all three to stay unnoticed.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator

from stages.decision.findings import State
from stages.decision.verdicts import GateName
from stages.files.hashing import sha256_hex
from stages.files.record import Record
from stages.model.manifest import BaseManifest

LINEAGE = "lineage.json"
SUMS = "SHA256SUMS"
EVIDENCE = "evidence"  # the folder of a release that holds copies of files from the repository
SUMS_IN_TAG = re.compile(r"^SHA256SUMS sha256:([0-9a-f]{64})$", re.MULTILINE)
SUMS_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def refuse_path_outside(name: str) -> str:
    """ValueError for a name that would lead out of the folder it is looked up in."""
    if name.startswith("/") or ".." in name.split("/"):
        raise ValueError(f"{name!r} leads out of the release")
    return name


Form = Literal["merged", "merged_float32", "adapter"]
Inside = Annotated[str, AfterValidator(refuse_path_outside)]


class MergeProof(Record):
    """How much of what the adapter adds the shipped weights took up; 1 is all of it, by module and together.

    No module where the judged bytes ship as they are.
    """

    n_modules: int
    slope: float
    slope_low: float
    slope_high: float


class Drift(Record):
    """The judged model against the shipped one, over the tokens of held-out completions.

    `kl` is the mean of KL(judged || shipped) a token in nats, `kl_from_base` of KL(judged || base).
    """

    n_rows: int
    n_positions: int
    kl: float
    kl_from_base: float
    same_top_token: float  # share of positions at which both rank the same token first
    mean_logit_difference: float


class Regeneration(Record):
    """The study's completions, written again by the shipped model; `different` names prompts."""

    n_prompts: int
    different: list[str]


class ShippedModel(Record):
    """What the weights are, and which outs of the pipeline they come from."""

    method: Literal["lora", "qlora", "full"]
    form: Form
    dtype: str
    base: BaseManifest
    base_md5: str  # of models/base in dvc.lock
    policy_md5: str  # of models/policy in dvc.lock
    merge: MergeProof
    drift: Drift
    regeneration: Regeneration


class Decision(Record):
    """The states that allowed the release, or the reason for which it was made all the same."""

    overall: State
    gates: dict[GateName, State]
    override: str  # "" where the gates allowed it
    overridden: list[str]  # what the override set aside, as sentences


class JudgedStudy(Record):
    """The blind study that judged this model."""

    study_id: str
    opened_in: str  # the git revision that first had its commitment
    commitment_sha256: str


class Number(Record):
    """One number of a metrics file: where it stands, and what it was at the release."""

    file: Inside
    name: str  # dotted
    value: float


class Lineage(Record):
    """Everything a release can be traced by. `seal_sha256` is over all the rest."""

    format: Literal["blue-pencil-lineage-2"] = "blue-pencil-lineage-2"
    artifact: str
    version: str
    tag: str
    git_revision: str
    decision: Decision
    n_looks: int
    study: JudgedStudy | None  # None: no study of these texts was opened
    model: ShippedModel
    numbers: list[Number]
    files: dict[Inside, str]  # name: SHA-256, of all but lineage.json and SHA256SUMS
    seal_sha256: str


class Misfit(NamedTuple):
    """One thing that is not as released. `expected` and `found` are hashes, values or words."""

    file: str
    rule: str
    expected: str
    found: str


def seal_lineage(lineage: Lineage) -> Lineage:
    """The same lineage with the hash over its content."""
    rest = lineage.model_dump(mode="json", exclude={"seal_sha256"})
    return lineage.model_copy(update={"seal_sha256": sha256_hex(_canonical(rest))})


def lineage_bytes(lineage: Lineage) -> bytes:
    """The only spelling of `lineage.json`."""
    return _canonical(lineage.model_dump(mode="json"))


def _canonical(value: object) -> bytes:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=2)
    return (text + "\n").encode()


def sums_text(files: Mapping[str, str]) -> str:
    """`SHA256SUMS` as `sha256sum -c` reads it, sorted by name."""
    return "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(files.items()))


def parse_sums(text: str) -> dict[str, str]:
    """Name -> hash of every line that can be read; the others are left out, which a check must notice."""
    matches = (SUMS_LINE.fullmatch(line) for line in text.split("\n"))
    return {match[2]: match[1] for match in matches if match}


def numbers_in(file: str, document: Mapping[str, Any]) -> Iterator[Number]:
    """Every number under a name in a metrics file; lists have no names and are left to the file's hash."""
    for name, value in _leaves(document, ""):
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield Number(file=file, name=name, value=value)


def _leaves(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield from _leaves(value[key], f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def tag_message(lineage: Lineage, sums_sha256: str) -> str:
    """What the annotated tag says; verification reads the hash back out of it."""
    lines = [f"Release {lineage.artifact} {lineage.version}", "", f"SHA256SUMS sha256:{sums_sha256}"]
    lines.append(f"gates: {lineage.decision.overall}")
    if lineage.decision.override:
        # on one line, so that no reason can pass for the line of the hash
        lines.append(f"released all the same: {' '.join(lineage.decision.override.split())}")
    return "\n".join(lines) + "\n"


def sums_in_tag(messages: Sequence[str]) -> str | None:
    """The SHA-256 of `SHA256SUMS` that a tag's message carries, or None."""
    found = [match[1] for message in messages for match in SUMS_IN_TAG.finditer(message)]
    return found[0] if len(found) == 1 else None
