"""Which changed byte is named, on a release of a few made-up files."""

import pytest

from stages.files.hashing import sha256_hex
from stages.model.manifest import BaseManifest
from stages.release.integrity import ReleaseFiles, check_files
from stages.release.lineage import (
    Decision,
    Drift,
    Lineage,
    MergeProof,
    Number,
    Regeneration,
    ShippedModel,
    lineage_bytes,
    numbers_in,
    parse_sums,
    seal_lineage,
    sums_in_tag,
    sums_text,
    tag_message,
)

CONTENT = {"model.safetensors": b"weights", "README.md": b"card", "evidence/dvc.lock": b"lock"}


def make_lineage(override: str = "") -> Lineage:
    base = BaseManifest(source="path", name="b", revision="r", licence="mit", n_parameters=1, files={})
    drift = Drift(
        n_rows=1, n_positions=2, kl=1e-6, kl_from_base=0.1, same_top_token=1, mean_logit_difference=1e-6
    )
    model = ShippedModel(
        method="lora",
        dtype="float32",
        base=base,
        base_md5="b.dir",
        policy_md5="p.dir",
        form="merged",
        merge=MergeProof(n_modules=2, slope=1, slope_low=0.99, slope_high=1.01),
        drift=drift,
        regeneration=Regeneration(n_prompts=2, different=["p1"]),
    )
    states = dict.fromkeys(("accuracy", "winrate", "capability"), "pass")
    return seal_lineage(
        Lineage(
            artifact="policy",
            version="v1.0.0",
            tag="policy@v1.0.0",
            git_revision="f" * 40,
            decision=Decision(overall="pass", gates=states, override=override, overridden=[]),
            n_looks=3,
            study=None,
            model=model,
            numbers=[Number(file="metrics/gate.json", name="gate.accuracy.value", value=0.74)],
            files={name: sha256_hex(data) for name, data in CONTENT.items()},
            seal_sha256="",
        )
    )


def make_files(lineage: Lineage | None = None, **changed: bytes) -> ReleaseFiles:
    lineage = lineage or make_lineage()
    sealed = lineage_bytes(lineage)
    sums = sums_text({**lineage.files, "lineage.json": sha256_hex(sealed)}).encode()
    files = {**CONTENT, "lineage.json": sealed, "SHA256SUMS": sums, **changed}
    hashes = {name: sha256_hex(data) for name, data in files.items()}
    return ReleaseFiles(hashes, (), sums=files["SHA256SUMS"], lineage=files["lineage.json"])


def test_an_untouched_release_fits() -> None:
    checked = check_files(make_files())
    assert checked.misfits == []
    assert checked.lineage == make_lineage()


@pytest.mark.parametrize("name", [*CONTENT, "SHA256SUMS", "lineage.json"])
def test_whatever_byte_is_changed_its_file_alone_is_named(name: str) -> None:
    lineage = lineage_bytes(make_lineage())
    sums = make_files().sums
    whole = {**CONTENT, "lineage.json": lineage, "SHA256SUMS": sums}[name]
    for place in range(0, len(whole), 1 + len(whole) // 100):
        for bit in (1, 128):
            data = bytearray(whole)
            data[place] ^= bit
            [misfit] = check_files(make_files(**{name: bytes(data)})).misfits
            assert (misfit.file, misfit.expected, misfit.found) == (
                name,
                sha256_hex(whole),
                sha256_hex(bytes(data)),
            ), place


@pytest.mark.parametrize("name", ["SHA256SUMS", "lineage.json"])
@pytest.mark.parametrize("cut", [0, 1, 100])
def test_a_shortened_list_is_named(name: str, cut: int) -> None:
    whole = {"lineage.json": lineage_bytes(make_lineage()), "SHA256SUMS": make_files().sums}[name]
    assert [one.file for one in check_files(make_files(**{name: whole[:cut]})).misfits] == [name]


def test_the_same_lineage_in_other_bytes_is_named() -> None:
    other = lineage_bytes(make_lineage()).replace(b"\n", b" \n", 1)
    [misfit] = check_files(make_files(**{"lineage.json": other})).misfits
    assert misfit.rule == "says the same in other bytes"


def test_an_older_version_of_the_lineage_says_what_verifies_it() -> None:
    older = lineage_bytes(make_lineage()).replace(b"blue-pencil-lineage-2", b"blue-pencil-lineage-1")
    [misfit] = check_files(make_files(**{"lineage.json": older})).misfits
    assert misfit.rule == f"is of an older version; verify it with the one in git at {'f' * 40}"


def test_a_lineage_and_its_sum_changed_together_break_the_seal() -> None:
    changed = make_lineage().model_copy(update={"n_looks": 1})
    [misfit] = check_files(make_files(changed)).misfits
    assert (misfit.file, misfit.rule) == ("lineage.json", "does not fit its own seal")
    assert misfit.expected == f"seal {seal_lineage(changed).seal_sha256}"


def test_missing_added_and_strange_files_are_named() -> None:
    files = make_files()
    hashes = {**files.hashes, "code.py": "0" * 64, ".gitattributes": "1" * 64}
    del hashes["README.md"]
    misfits = check_files(files._replace(hashes=hashes, strange=("link",))).misfits
    assert [(one.file, one.rule) for one in misfits] == [
        ("README.md", "is missing"),
        ("code.py", "is no part of the release"),
        ("link", "is no plain file"),
    ]


def test_sums_are_read_back_as_written() -> None:
    files = {"a b.txt": "0" * 64, "z/é": "f" * 64}
    assert parse_sums(sums_text(files)) == files
    assert parse_sums("no sums\n" + sums_text(files)[:-1]) == files


def test_the_tag_carries_the_sum_whatever_the_reason_says() -> None:
    lineage = make_lineage(override="why\nnot")
    assert sums_in_tag([tag_message(lineage, "a" * 64)]) == "a" * 64
    misleading = make_lineage(override=f"x\nSHA256SUMS sha256:{'b' * 64}")
    assert sums_in_tag([tag_message(misleading, "a" * 64)]) == "a" * 64
    assert sums_in_tag(["Release policy"]) is None


def test_numbers_are_named_and_truth_values_are_none() -> None:
    document = {"b": {"x": 1, "ok": True, "t": "1", "l": [1]}, "a": 0.5}
    found = [(one.name, one.value) for one in numbers_in("m.json", document)]
    assert found == [("a", 0.5), ("b.x", 1.0)]
