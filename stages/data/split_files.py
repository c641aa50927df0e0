"""The files of the split: what is read of the validated pairs, what is written, and the proof."""

from collections.abc import Iterator
from typing import NamedTuple

from stages.data.components import PairTexts, index_texts, label_components, link_texts, name_components
from stages.data.forms.row_file import RowFile
from stages.data.overlaps import Overlaps, count_overlaps
from stages.data.splitting import HoldoutSizeError, PairColumns, Parts, choose_sides, divide_rows
from stages.errors import InputError
from stages.files.pairs import PreferencePair, Prompt, SplitPair
from stages.run import paths
from stages.run.params import Params

FILES = {
    "train": paths.TRAIN_PAIRS,
    "selection": paths.SELECTION_PAIRS,
    "holdout": paths.HOLDOUT_PAIRS,
}


class Split(NamedTuple):
    """The component of every pair, and the places of the pairs of each part."""

    components: list[str]
    parts: Parts


def read_columns(pairs: RowFile[PreferencePair], prompts: list[Prompt]) -> tuple[PairColumns, PairTexts]:
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
    return PairColumns(ids, editors, sections, any(synthetic)), texts


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
