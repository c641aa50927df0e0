"""Is every byte of a release as it was released? From the release folder alone."""

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pydantic import ValidationError

from stages.files.hashing import sha256_hex
from stages.release.lineage import (
    LINEAGE,
    SUMS,
    Lineage,
    Misfit,
    lineage_bytes,
    parse_sums,
    seal_lineage,
    sums_text,
)

MISSING = "nothing"
OLDER_FORMATS = ("blue-pencil-lineage-1",)
FROM_HUB = ".gitattributes"  # a model hub adds it to every repository; it is no part of the model


class ReleaseFiles(NamedTuple):
    """What lies in a release folder: the hash of every file, and the two files that list the others."""

    hashes: Mapping[str, str]  # path inside the folder, with slashes: hex SHA-256
    strange: tuple[str, ...]  # links and whatever else is no plain file
    sums: bytes
    lineage: bytes


class CheckedFiles(NamedTuple):
    """`lineage` is None where `lineage.json` itself cannot be believed."""

    lineage: Lineage | None
    misfits: list[Misfit]


def check_files(files: ReleaseFiles) -> CheckedFiles:
    """Every file that is not as released, by name, with the hash it must have and the one it has.

    Where `lineage.json` is whole, `SHA256SUMS` can be derived from it, so a change of either is told
    from a change of a file they list.
    """
    lineage, misfits = check_lineage(files)
    if lineage is None:
        listed = parse_sums(files.sums.decode("utf-8", errors="replace"))
        listed = {name: sha256 for name, sha256 in listed.items() if name != LINEAGE}
    else:
        listed = lineage.files
        expected = sums_text({**listed, LINEAGE: sha256_hex(files.lineage)}).encode()
        if files.sums != expected:
            rule = "differs from what lineage.json makes it"
            misfits.append(Misfit(SUMS, rule, sha256_hex(expected), sha256_hex(files.sums)))
    return CheckedFiles(lineage, [*misfits, *_differing(files, listed)])


def check_lineage(files: ReleaseFiles) -> tuple[Lineage | None, list[Misfit]]:
    """`lineage.json` if it is as it was sealed, else what is wrong with it."""
    found = sha256_hex(files.lineage)
    listed = parse_sums(files.sums.decode("utf-8", errors="replace")).get(LINEAGE, MISSING)
    try:
        content = json.loads(files.lineage)
        if isinstance(content, dict) and content.get("format") in OLDER_FORMATS:
            rule = f"is of an older version; verify it with the one in git at {content.get('git_revision')}"
            return None, [Misfit(LINEAGE, rule, Lineage.model_fields["format"].default, content["format"])]
        lineage = Lineage.model_validate(content)
    except (ValidationError, ValueError, RecursionError):
        return None, [Misfit(LINEAGE, "is no longer readable", listed, found)]
    if seal_lineage(lineage) != lineage:
        expected = listed if listed != found else f"seal {seal_lineage(lineage).seal_sha256}"
        return None, [Misfit(LINEAGE, "does not fit its own seal", expected, found)]
    if lineage_bytes(lineage) != files.lineage:
        rule = "says the same in other bytes"
        return None, [Misfit(LINEAGE, rule, sha256_hex(lineage_bytes(lineage)), found)]
    return lineage, []


def _differing(files: ReleaseFiles, listed: Mapping[str, str]) -> Iterator[Misfit]:
    for name, expected in sorted(listed.items()):
        found = files.hashes.get(name, MISSING)
        if found != expected:
            rule = "is missing" if found == MISSING else "differs from what was released"
            yield Misfit(name, rule, expected, found)
    known = {*listed, LINEAGE, SUMS, FROM_HUB}
    for name in sorted(set(files.hashes) - known):
        yield Misfit(name, "is no part of the release", MISSING, files.hashes[name])
    for name in files.strange:
        yield Misfit(name, "is no plain file", listed.get(name, MISSING), "a link or a special file")
