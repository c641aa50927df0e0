"""The founder's page and the model card, rendered from what the other stages have written."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from stages.decision.data_facts import say_ceiling
from stages.decision.evidence import Document, SplitEvidence, parse_evidence
from stages.decision.findings import exact_limits
from stages.decision.verdicts import StoredGates, is_usable, parse_gates
from stages.errors import InputError
from stages.files.io import read_json, read_json_if_there, read_jsonl, read_record, read_text, sha256_file
from stages.files.json_text import as_written
from stages.model.manifest import MANIFEST, BaseManifest
from stages.pages.html import Link, render_page
from stages.reporting.appendix import Appendix, EditorRow, PlotTables, draw_appendix, parse_table
from stages.reporting.coverage import (
    Coverage,
    Measures,
    gather_coverage,
    gather_measures,
    study_of,
    study_words,
)
from stages.reporting.excerpts import Excerpts, choose_excerpts, parse_scores
from stages.reporting.identity import Commit, Judging, identify
from stages.reporting.made_up import MadeUp, tell_made_up
from stages.reporting.model_card import card_metadata, format_setting, front_matter
from stages.reporting.price import say_price
from stages.reporting.story import Notice, Story, tell_story
from stages.repository.git import day_of_last_commit, differs_from_head, head_revision
from stages.run import paths
from stages.run.params import Params, load_params
from stages.study.items import BlindItem

UNNAMED_MODEL = "Blue Pencil policy"
DETERMINED_BY = ("stages", "dvc.yaml", "params.yaml")  # what a commit vouches for
CARD_DECIMALS = 4
SLICES, CALIBRATION, MARGINS = (
    paths.ACCURACY_PLOTS / name for name in ("slices.csv", "calibration.csv", "margins.csv")
)
MENTIONS = paths.WRITING_TABLES / "mentions.csv"
PROMPT_SCORES, EDITORS = (  # only their headers until the study is complete
    paths.WINRATE_PLOTS / name for name in ("prompts.csv", "editors.csv")
)


class Findings(NamedTuple):
    """Everything that both files tell, read and checked once."""

    params: Params
    documents: Mapping[str, Document]
    gates: StoredGates
    measures: Measures
    coverage: Coverage
    excerpts: Excerpts
    appendix: Appendix
    made_up: MadeUp
    judging: Judging
    commit: Commit | None
    base: BaseManifest
    price: str = ""  # of more pairs, where there is a learning curve


def founder_page(
    findings: Findings, *, links: Sequence[Link] = (), n_looks: int | None = None, override: str | None = None
) -> str:
    """The founder's page as HTML.

    `n_looks` says how many versions the held-out pairs have scored, where somebody counted;
    `override` is the reason for which the model is released against its verdict.
    """
    return render_page(
        "reporting/founder.html.j2",
        story=_story(findings, n_looks, override),
        excerpts=findings.excerpts,
        appendix=findings.appendix,
        made_up=findings.made_up,
        language=findings.params.project.language,
        links=links,
    )


def model_card(findings: Findings, *, n_looks: int | None = None, override: str | None = None) -> str:
    """The model card as Markdown; the options are those of `founder_page`."""
    params, gates, coverage, base = findings.params, findings.gates, findings.coverage, findings.base
    name = params.project.product or UNNAMED_MODEL
    metadata = card_metadata(
        model_name=name,
        language=params.project.language,
        base_name=base.name,
        licence=base.licence,
        is_adapter=params.train.method != "full",
        is_synthetic=coverage.is_synthetic,
        gates=gates,
    )
    return render_page(
        "reporting/model_card.md.j2",
        front_matter=front_matter(metadata),
        model_name=name,
        project=params.project,
        precision=CARD_DECIMALS,
        gates=gates,
        story=_story(findings, n_looks, None),
        is_judged=is_usable(gates.winrate),
        coverage=coverage,
        base=base,
        override=override,
        pairs_name=params.data.pairs,
        training=read_settings(params),
        evidence={path.as_posix(): sha256_file(path) for path in paths.EVIDENCE.values() if path.is_file()},
    )


def read_findings() -> Findings:
    """Read what the other stages have written, in the current folder; InputError names what is broken."""
    params = load_params()
    documents = {name: read_json_if_there(path) for name, path in paths.EVIDENCE.items()}
    gates = read_gates()
    items = read_jsonl(paths.BLIND_ITEMS, BlindItem)
    measures = gather_measures(documents)
    synthetic_items = (item.synthetic for item in items)
    coverage = gather_coverage(documents, measures, params, synthetic_items=synthetic_items)
    return Findings(
        params=params,
        documents=documents,
        gates=gates,
        measures=measures,
        coverage=coverage,
        excerpts=choose_excerpts(
            items, read_scores() if is_usable(gates.winrate) else {}, is_judged=measures.winrate is not None
        ),
        appendix=read_appendix(params, gates),
        made_up=read_made_up(params, items, is_judged=is_usable(gates.winrate)),
        judging=read_judging(documents, measures),
        commit=read_commit(),
        base=read_record(paths.BASE_MODEL / MANIFEST, BaseManifest),
        price=read_price(coverage),
    )


def read_gates() -> StoredGates:
    """The verdicts; InputError where `gate` has not written them."""
    try:
        return parse_gates(read_json(paths.GATE_METRICS))
    except ValueError as error:
        raise InputError(f"{paths.GATE_METRICS}: {error}; run `dvc repro gate`") from error


def read_scores() -> dict[str, Fraction]:
    """Each prompt's mean score; InputError where the table is not what `winrate` writes."""
    try:
        return parse_scores(read_text(PROMPT_SCORES))
    except ValueError as error:
        raise InputError(f"{PROMPT_SCORES}: cannot be read ({error}); run `dvc repro winrate`") from error


def read_appendix(params: Params, gates: StoredGates) -> Appendix:
    """The drawings; InputError where a table is not what its stage writes."""
    tables = PlotTables(*(read_text(path) for path in (SLICES, CALIBRATION, MARGINS, EDITORS)))
    try:
        return draw_appendix(tables, gates, exact_limits(params.limits))
    except ValueError as error:
        folders = f"{paths.ACCURACY_PLOTS}, {paths.WINRATE_PLOTS}"
        raise InputError(f"{folders}: a table cannot be read ({error}); run `dvc repro report`") from error


def read_made_up(params: Params, items: Sequence[BlindItem], *, is_judged: bool) -> MadeUp:
    """What `writing` found; InputError where its table does not fit the texts."""
    document = read_json_if_there(paths.WRITING_METRICS)
    mentions = "" if document is None else read_text(MENTIONS)
    max_rise = as_written(params.limits.writing.max_unsupported_rise)
    try:
        return tell_made_up(document, mentions, items, max_rise=max_rise, is_judged=is_judged)
    except ValueError as error:
        raise InputError(f"{MENTIONS}: cannot be read ({error}); run `dvc repro writing`") from error


def read_price(coverage: Coverage) -> str:
    """What more pairs would cost; InputError where the curve is not what `bluepencil curve` writes."""
    document = read_json_if_there(paths.CURVE)
    if isinstance(document, InputError):
        raise document
    try:
        return say_price(document, coverage)
    except ValueError as error:
        raise InputError(f"{paths.CURVE}: {error} Write it again: `bluepencil curve --keep`") from error


def read_settings(params: Params) -> dict[str, str]:
    """What the policy was trained with."""
    settings = params.train.model_dump() | params.processes.model_dump()
    return {key: format_setting(value) for key, value in settings.items()}


def read_judging(documents: Mapping[str, Document], measures: Measures) -> Judging:
    """Whose ballots are counted, and when git got the last one; nobody before the study is complete."""
    study_id = study_of(documents)
    if measures.winrate is None or not study_id:
        return Judging([], None)
    editors = [row.editor for row in parse_table(read_text(EDITORS), EditorRow) if not row.rehearsal]
    return Judging(editors, day_of_last_commit(paths.BALLOTS / study_id))


def read_commit() -> Commit | None:
    """What is checked out; None outside a repository or before its first commit."""
    try:
        return Commit(head_revision(), differs_from_head(*DETERMINED_BY))
    except InputError:
        return None


def _story(findings: Findings, n_looks: int | None, override: str | None) -> Story:
    project, gates = findings.params.project, findings.gates
    split = parse_evidence(findings.documents["split"], "split", SplitEvidence)
    ceiling = say_ceiling(split.holdout_ceiling) if isinstance(split, SplitEvidence) else ""
    return tell_story(
        gates,
        findings.measures,
        exact_limits(findings.params.limits),
        findings.coverage,
        identity=identify(
            product=project.product,
            owner=project.owner,
            base=findings.base.name,
            study_id=study_of(findings.documents),
            judging=findings.judging,
            commit=findings.commit,
            is_judged=is_usable(gates.winrate),
        ),
        study_reason=study_words(findings.documents),
        n_looks=n_looks,
        override=override,
        more=[Notice("note", note) for note in (findings.made_up.note, findings.price) if note],
        notes={"accuracy": [ceiling]} if ceiling else {},
    )
