"""Writes a release: into a temporary folder first, which gets its name only when everything has held."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from stages.errors import ReleaseError
from stages.files.io import read_json, read_jsonl, read_record, read_text, sha256_file, write_text
from stages.files.pairs import SplitPair, first_rows
from stages.inference.generation.completions import Generation
from stages.model.manifest import MANIFEST, BaseManifest
from stages.pages.html import render_page
from stages.release.lineage import (
    EVIDENCE,
    LINEAGE,
    SUMS,
    Decision,
    JudgedStudy,
    Lineage,
    Number,
    ShippedModel,
    lineage_bytes,
    numbers_in,
    seal_lineage,
    sums_text,
    tag_message,
)
from stages.release.lock_chain import LOCK, md5_of_out, parse_lock
from stages.release.registry import register, unregister
from stages.reporting.pages import founder_page, model_card, read_findings
from stages.repository.dvc import read_yaml
from stages.run import paths
from stages.run.params import PARAMS_FILE, Params
from stages.run.progress import say


def release_card(card: str, lineage: Lineage) -> str:
    """A card as `report` writes it, for what ships, and with the release's own part.

    That part stands first after the title: who downloads a model reads that far.
    """
    from huggingface_hub import ModelCard

    parsed: Any = ModelCard(card)
    parsed.data.library_name = "peft" if lineage.model.form == "adapter" else "transformers"
    title, _, rest = parsed.text.lstrip("\n").partition("\n\n")
    note = render_page("release/release_note.md.j2", lineage=lineage, model=lineage.model)
    return f"---\n{parsed.data.to_yaml()}\n---\n\n{title}\n\n{note}{rest}"


METRICS_FILES = [*paths.EVIDENCE.values(), paths.GATE_METRICS]


COPIED = [PARAMS_FILE, Path("dvc.yaml"), Path(LOCK), *METRICS_FILES, paths.FOUNDER_PAGE, paths.MODEL_CARD]


CARD = "README.md"  # where a model hub looks for it


class Plan(NamedTuple):
    """A release that nothing forbids."""

    params: Params
    folder: Path
    artifact: str
    version: str
    git_revision: str
    decision: Decision
    n_looks: int
    study: JudgedStudy | None


def write_release(plan: Plan) -> Lineage:
    """Build, check, write and register; whatever fails leaves neither folder nor tag behind."""
    with new_folder(plan.folder) as folder:
        model = ship_model(plan.params, folder)
        draft = draft_lineage(plan, model)
        copy_evidence(folder)
        write_pages(folder, draft)

        lineage = seal_lineage(draft.model_copy(update={"files": hash_files(folder)}))
        write_text(folder / LINEAGE, lineage_bytes(lineage).decode())
        write_text(folder / SUMS, sums_text(hash_files(folder)))
        message = tag_message(lineage, sha256_file(folder / SUMS))
        register(plan.artifact, plan.version, plan.git_revision, message)
        try:
            put_in_place(folder, plan.folder)
        except BaseException:
            unregister(plan.artifact, plan.version)
            raise
    return lineage


def ship_model(params: Params, folder: Path) -> ShippedModel:
    """Write the model that ships, and hold it against the one that was judged."""
    from stages.model.checkpoint import read_rendering
    from stages.release import merging, proof

    rendering = read_rendering(paths.BASE_MODEL)
    runtime, base, policy = params.runtime, paths.BASE_MODEL, paths.POLICY_MODEL
    pairs = first_rows(
        read_jsonl(paths.HOLDOUT_PAIRS, SplitPair), params.release.n_parity_rows, key="release.n_parity_rows"
    )
    say(f"release: writing the model that ships ({params.train.method}, {params.release.form})")
    shipped = merging.write_shipped(base, policy, folder, runtime, form=params.release.form)
    say("release: proof on the weights, read back from the files")
    merge = proof.prove_shipped(base, policy, shipped, runtime)
    say("release: what the judged model, the shipped one and the base say to held-out pairs")
    judged, ships, before = (
        proof.collect_logits(one, adapter, how, params.rows, pairs, rendering)
        for one, adapter, how in ((base, policy, runtime), shipped, (base, None, runtime))
    )
    completions = read_jsonl(paths.generations("policy"), Generation)
    stages = parse_lock(read_yaml(read_text(Path(LOCK)), LOCK))
    return ShippedModel(
        method=params.train.method,
        form=params.release.form,
        dtype=shipped.runtime.dtype,
        base=read_record(paths.BASE_MODEL / MANIFEST, BaseManifest),
        base_md5=md5_of_out(stages, paths.BASE_MODEL.as_posix()),
        policy_md5=md5_of_out(stages, paths.POLICY_MODEL.as_posix()),
        merge=merge,
        drift=proof.measure_drift(judged, ships, before),
        regeneration=merging.regenerate(shipped, completions, params.generate, rendering),
    )


def draft_lineage(plan: Plan, model: ShippedModel) -> Lineage:
    """All of a lineage but the files' hashes and the seal."""
    return Lineage(
        artifact=plan.artifact,
        version=plan.version,
        tag=f"{plan.artifact}@{plan.version}",
        git_revision=plan.git_revision,
        decision=plan.decision,
        n_looks=plan.n_looks,
        study=plan.study,
        model=model,
        numbers=list(all_numbers()),
        files={},
        seal_sha256="",
    )


def write_pages(folder: Path, lineage: Lineage) -> None:
    """The card and the founder's page, with the override and the count of looks in both."""
    findings = read_findings()
    told: dict[str, Any] = {"n_looks": lineage.n_looks, "override": lineage.decision.override or None}
    write_text(folder / CARD, release_card(model_card(findings, **told), lineage))
    write_text(folder / paths.FOUNDER_PAGE.name, founder_page(findings, **told))


def all_numbers() -> Iterator[Number]:
    """Every number of every metrics file."""
    for path in METRICS_FILES:
        yield from numbers_in(path.as_posix(), read_json(path))


def copy_evidence(folder: Path) -> None:
    """Copies of what the numbers rest on, under their own names in `evidence/`."""
    for path in COPIED:
        target = folder / EVIDENCE / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def hash_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below `folder`, by its path inside."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target`; what the block has not moved away is deleted."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    temporary.chmod(0o755)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def put_in_place(folder: Path, target: Path) -> None:
    """Give the finished folder its name; ReleaseError where something took it in the meantime."""
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)  # a library may have written for its user alone
    if target.exists() or target.is_symlink():
        raise ReleaseError(f"{target}: exists by now; a release is never overwritten, name another folder")
    folder.rename(target)
