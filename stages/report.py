"""Report: one page for the founder, one card for the model.

Reads the metrics, the verdicts, the judgeable items and the base's manifest; writes
reports/founder.html and reports/model_card.md. Decides nothing: it only says it.
"""

from stages import paths
from stages.adapters.html import render_page
from stages.core.base_manifest import MANIFEST, BaseManifest
from stages.core.excerpts import choose_excerpts, parse_scores
from stages.core.items import BlindItem
from stages.core.model_card import card_metadata, format_setting, front_matter
from stages.core.scope import Plan, Scope, gather_measures, gather_scope, study_words
from stages.core.story import Story, tell_story
from stages.core.verdicts import StoredGates, parse_gates
from stages.errors import InputError
from stages.io import read_json, read_jsonl, read_record, read_text, sha256_file, write_text
from stages.limits import exact_limits
from stages.metrics_files import EVIDENCE, read_documents
from stages.params import Params, load_params
from stages.shell import run_stage

MODEL_NAME = "Blue Pencil policy"
CARD_DECIMALS = 4
PROMPT_SCORES = paths.WINRATE_PLOTS / "prompts.csv"  # only its header until the study is complete


def main() -> None:
    """Render both files from what the other stages have written."""
    params = load_params()
    documents = read_documents()
    gates = read_gates()
    items = read_jsonl(paths.BLIND_ITEMS, BlindItem)
    base = read_record(paths.BASE_MODEL / MANIFEST, BaseManifest)

    measures = gather_measures(documents)
    scope = gather_scope(
        documents, measures, read_plan(params), synthetic_items=(item.synthetic for item in items)
    )
    story = tell_story(
        gates, measures, exact_limits(params.limits), scope, study_reason=study_words(documents)
    )
    scores = parse_scores(read_text(PROMPT_SCORES))
    page = render_page(
        "founder.html.j2",
        story=story,
        excerpts=choose_excerpts(items, scores if measures.winrate else {}),
    )
    card = render_card(params, gates, story, scope, base)
    write_text(paths.FOUNDER_PAGE, page)
    write_text(paths.MODEL_CARD, card)


def render_card(params: Params, gates: StoredGates, story: Story, scope: Scope, base: BaseManifest) -> str:
    """The model card as Markdown."""
    metadata = card_metadata(
        model_name=MODEL_NAME,
        base_name=base.name,
        licence=base.licence,
        is_adapter=params.train.method != "full",
        is_synthetic=scope.is_synthetic,
        gates=gates,
    )
    return render_page(
        "model_card.md.j2",
        front_matter=front_matter(metadata),
        model_name=MODEL_NAME,
        precision=CARD_DECIMALS,
        gates=gates,
        story=story,
        scope=scope,
        base=base,
        pairs_name=params.data.pairs,
        training={key: format_setting(value) for key, value in params.train.model_dump().items()},
        evidence={path.as_posix(): sha256_file(path) for path in EVIDENCE.values() if path.is_file()},
    )


def read_gates() -> StoredGates:
    """The verdicts; InputError where `gate` has not written them."""
    try:
        return parse_gates(read_json(paths.GATE_METRICS))
    except ValueError as error:
        raise InputError(f"{paths.GATE_METRICS}: {error}; run `dvc repro gate`") from error


def read_plan(params: Params) -> Plan:
    """What `params.yaml` asks for, as plain values."""
    return Plan(
        n_train=params.size.n_train,
        n_holdout=params.split.n_holdout,
        min_questions=params.limits.capability.min_questions,
        n_prompts=params.generate.n_prompts,
        n_editors=len(params.study.editors),
        n_views=params.generate.n_prompts + params.study.n_repeats + params.study.n_anchors,
        max_new_tokens=params.generate.max_new_tokens,
    )


if __name__ == "__main__":
    run_stage(main)
