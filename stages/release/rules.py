"""When a release is refused: the gates, and whatever moved since the study was opened."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from stages.decision.verdicts import StoredGates
from stages.study.prereg import Prereg

RELEASABLE = ("pass", "confirmed")


class Registered(NamedTuple):
    """What counted when the study was opened, or counts now.

    `limits` by dotted name; `data` by role ("data.pairs", ...), the value being a hash.
    """

    limits: Mapping[str, Any]
    data: Mapping[str, str]


class Objections(NamedTuple):
    """`final` cannot be overridden; `overridable` can, with a reason that is recorded."""

    final: list[str]
    overridable: list[str]


def object_to_gates(gates: StoredGates) -> list[str]:
    """Nothing where the overall state allows a release, else one sentence per gate that does not."""
    if gates.overall.state in RELEASABLE:
        return []
    held = [
        f"gate {name} is {verdict.state}: {verdict.reasons}"
        for name, verdict in gates.named().items()
        if verdict.state not in RELEASABLE
    ]
    return [f"the overall state is {gates.overall.state}", *held]


def differences(opened: Registered, now: Registered) -> Iterator[str]:
    """Each limit and each piece of data that is not what it was when the study was opened."""
    for name in sorted({*opened.limits, *now.limits}):
        was, is_now = opened.limits.get(name), now.limits.get(name)
        if was != is_now:
            yield f"limits.{name} was {was} when the study was opened, and is {is_now}"
    for name in sorted({*opened.data, *now.data}):
        was, is_now = opened.data.get(name), now.data.get(name)
        if was != is_now:
            yield f"{name} had the hash {was} when the study was opened, and has {is_now}"


def prereg_differences(sealed: Prereg, wanted: Prereg) -> Iterator[str]:
    """Each field in which the sealed pre-registration is not what the parameters say now."""
    present = wanted.model_dump()
    for name, was in sealed.model_dump().items():
        if (
            name != "anchors" and was != present[name]
        ):  # their names come from a file, and the seal holds them
            yield f"the pre-registration says {name} {was}, params.yaml now {present[name]}"


def object_to_override(objections: Objections, reason: str | None) -> list[str]:
    """What still forbids the release once an override was given, or was not."""
    if reason is None:
        return [*objections.final, *objections.overridable]
    if not reason.strip():
        return [*objections.final, '--override wants a reason: --override "why it ships all the same"']
    if not objections.overridable:
        return [*objections.final, "nothing has to be overridden; leave --override out"]
    return objections.final
