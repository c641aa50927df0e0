"""Reads data/validate/{pairs,prompts}.jsonl and metrics/validate.json; writes data/split/{train,
selection,holdout}.jsonl, data/split/report.html and metrics/split.json. Decides which pairs are
held out: exactly `split.n_holdout`, by whole components, so that no text stands on two sides.
"""

from collections.abc import Iterator
from typing import NamedTuple

from stages.data.components import PairTexts, index_texts, label_components, link_texts, name_components
from stages.data.forms.row_file import RowFile
from stages.data.overlaps import Overlaps, count_overlaps
from stages.data.split_page import describe_strata
from stages.data.splitting import (
    HoldoutSizeError,
    PairFacts,
    Parts,
    choose_sides,
    describe_split,
    divide_rows,
)
from stages.errors import InputError
from stages.files.io import read_json, read_jsonl, write_json, write_jsonl, write_text
from stages.files.pairs import PreferencePair, Prompt, SplitPair, split_sha256
from stages.pages.html import render_page
from stages.run import paths
from stages.run.params import Params, load_params
from stages.run.progress import say
from stages.run.shell import run_stage

FILES = {
    "train": paths.TRAIN_PAIRS,
    "selection": paths.SELECTION_PAIRS,
    "holdout": paths.HOLDOUT_PAIRS,
}


class Split(NamedTuple):
    """The component of every pair, and the places of the pairs of each part."""

    components: list[str]
    parts: Parts


def main() -> None:
    """Split the validated pairs."""
    params = load_params()
    pairs = RowFile(paths.VALIDATED_PAIRS, PreferencePair)
    prompts = read_jsonl(paths.VALIDATED_PROMPTS, Prompt)
    refuse_unfit_data(read_json(paths.VALIDATE_METRICS).get("validate"))
    refuse_missing_prompts(len(prompts), params.generate.n_prompts)

    facts, texts = read_facts(pairs, prompts)
    split = split_pairs(facts.pair_ids, texts, params)
    del texts  # the proof needs the room
    for name, places in split.parts._asdict().items():
        write_jsonl(FILES[name], split_rows(pairs, places, split.components))
    overlaps = prove(prompts, similarity=params.validate_.near_duplicate_similarity)
    metrics = describe_split(facts, split.components, split.parts, overlaps)
    metrics["split_sha256"] = split_sha256(RowFile(paths.HOLDOUT_PAIRS, SplitPair))
    strata = describe_strata(facts, split.parts)
    write_text(paths.SPLIT_REPORT, render_page("data/split_report.html.j2", metrics=metrics, strata=strata))
    write_json(paths.SPLIT_METRICS, {"split": metrics})
    say(
        f"split: {metrics['n_train']} train, {metrics['n_selection']} selection, "
        f"{metrics['n_holdout']} holdout, {metrics['n_components']} components, "
        f"{metrics['n_overlaps']} overlaps"
    )


def read_facts(pairs: RowFile[PreferencePair], prompts: list[Prompt]) -> tuple[PairFacts, PairTexts]:
    """Read every pair once and keep what is needed of it."""
    ids, editors, sections = list[str](), list[str | None](), list[str | None]()
    synthetic = [prompt.synthetic for prompt in prompts]

    def passing() -> Iterator[PreferencePair]:
        for pair in pairs:
            ids.append(pair.pair_id)
            editors.append(pair.editor)
            sections.append(pair.section)
            synthetic.append(pair.synthetic)
            yield pair

    texts = index_texts(passing())
    return PairFacts(ids, editors, sections, any(synthetic)), texts


def split_pairs(pair_ids: list[str], texts: PairTexts, params: Params) -> Split:
    """Join what belongs together and divide it; InputError where no exact holdout exists."""
    links = link_texts(
        texts.table,
        similarity=params.validate_.near_duplicate_similarity,
        n_shared_words=params.split.join_shared_words,
    )
    components = name_components(pair_ids, label_components(texts, links), salt=params.split.salt)
    try:
        sides = choose_sides(
            components, n_holdout=params.split.n_holdout, n_selection=params.split.n_selection
        )
    except HoldoutSizeError as error:
        raise InputError(explain_no_holdout(error)) from error
    return Split(components, divide_rows(pair_ids, components, sides, salt=params.split.salt))


def split_rows(
    pairs: RowFile[PreferencePair], places: list[int], components: list[str]
) -> Iterator[SplitPair]:
    """The pairs at these places, each with the name of its component."""
    for place, pair in zip(places, pairs.at(places), strict=True):
        yield SplitPair(component_id=components[place], **dict(pair))


def prove(prompts: list[Prompt], *, similarity: float) -> Overlaps:
    """Compare the three files as they were written."""
    parts = {name: RowFile(path, SplitPair) for name, path in FILES.items()}
    return count_overlaps(parts, prompts, similarity=similarity)


def refuse_unfit_data(validated: object) -> None:
    """InputError where an error-level rule was broken more often than allowed, or nobody knows."""
    if not isinstance(validated, dict) or not isinstance(validated.get("ok"), bool):
        raise InputError(
            f"{paths.VALIDATE_METRICS}: has no verdict `validate.ok`; run `dvc repro -f validate`"
        )
    if not validated["ok"]:
        raise InputError(
            f"{paths.VALIDATE_METRICS}: the pairs are unfit to learn from: {validated.get('broken')} broken "
            f"more often than allowed; {paths.DATA_REPORT} shows where, {paths.VIOLATIONS} lists every row. "
            "Mend the data, or allow more in params.yaml `validate.rules`"
        )


def refuse_missing_prompts(n_prompts: int, n_wanted: int) -> None:
    """InputError where the study would have fewer fresh prompts than planned."""
    if n_prompts < n_wanted:
        raise InputError(
            f"{paths.VALIDATED_PROMPTS}: {n_prompts} of {n_wanted} wanted prompts; add prompts to the file "
            f"named by `data.prompts` ({paths.VIOLATIONS} says which were set aside), or lower "
            "`generate.n_prompts`"
        )


def explain_no_holdout(error: HoldoutSizeError) -> str:
    """The message for a person: what was wanted, what is possible, the way out."""
    nearest = " or ".join(str(size) for size in error.nearest) or "none"
    return (
        f"{paths.VALIDATED_PAIRS}: no exact holdout of {error.wanted}: pairs that share a group, prompt or "
        f"text stay together and some are left for training, {error.n_pairs} pairs came; nearest possible "
        f"sizes: {nearest}. Set `split.n_holdout` in params.yaml to one of these, or add pairs"
    )


if __name__ == "__main__":
    run_stage(main)
