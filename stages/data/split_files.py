"""The files of the split: what is read of the validated pairs, what is written, and the proof."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from stages.data.components import (
    PairTexts,
    describe_largest,
    index_texts,
    label_components,
    link_texts,
    name_components,
)
from stages.data.earlier_split import FILES, describe_kept, match_earlier, read_kept
from stages.data.forms.row_file import RowFile
from stages.data.overlaps import Proof, count_overlaps
from stages.data.shared_runs import RunLengths
from stages.data.split_page import PairColumns
from stages.data.splitting import HoldoutSizeError, NothingToTrainError, Parts, choose_parts
from stages.errors import InputError
from stages.files.pairs import PreferencePair, Prompt, SplitPair
from stages.run import paths
from stages.run.params import Params


class Split(NamedTuple):
    """The component and the content key of every pair, and the places of the pairs of each part.

    `kept` says how much of an earlier split is here; empty where none is kept.
    """

    components: list[str]
    item_keys: list[str]
    parts: Parts
    kept: str


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


def split_pairs(pair_ids: Sequence[str], texts: PairTexts, params: Params) -> Split:
    """Join what belongs together and divide it; InputError where no exact holdout exists."""
    if not pair_ids:
        raise InputError(f"{paths.VALIDATED_PAIRS}: holds no pairs; run `dvc repro validate`")
    links = link_texts(
        texts, similarity=params.validate_.near_duplicate_similarity, lengths=run_lengths(params)
    )
    keys = texts.item_keys
    components = name_components(keys, label_components(texts, links), salt=params.split.salt)
    rows = read_kept(params.split.keep)
    kept = describe_kept(rows, keys, pair_ids) if rows else ""
    earlier = match_earlier(rows, keys, pair_ids)
    wanted = params.split
    try:
        parts = choose_parts(
            components,
            keys,
            n_holdout=wanted.n_holdout,
            n_selection=wanted.n_selection,
            salt=wanted.salt,
            earlier=earlier,
        )
    except HoldoutSizeError as error:
        largest = describe_largest(texts, links)
        shown = [pair_ids[place] for place in largest.examples]
        raise InputError(
            explain_no_holdout(error, f"{largest.in_words} (such as {' and '.join(shown)})")
        ) from error
    except NothingToTrainError as error:
        raise InputError(
            f"{paths.VALIDATED_PAIRS}: {len(keys)} pairs, of which `split.n_holdout` {wanted.n_holdout} and "
            f"`split.n_selection` {wanted.n_selection} leave nothing to train on; lower them, or add pairs"
        ) from error
    return Split(components, keys, parts, kept)


def run_lengths(params: Params) -> RunLengths:
    """The lengths of the runs that join texts."""
    return RunLengths(params.split.join_shared_words, params.split.join_shared_prompt_words)


def split_rows(
    pairs: RowFile[PreferencePair], places: Sequence[int], components: Sequence[str]
) -> Iterator[SplitPair]:
    """The pairs at these places, each with the name of its component."""
    for place, pair in zip(places, pairs.at(places), strict=True):
        yield SplitPair(component_id=components[place], **dict(pair))


def prove(prompts: Sequence[Prompt], params: Params) -> Proof:
    """Compare the three files as they were written."""
    parts = {str(name): RowFile(path, SplitPair) for name, path in FILES.items()}
    return count_overlaps(
        parts, prompts, similarity=params.validate_.near_duplicate_similarity, lengths=run_lengths(params)
    )


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
            "Correct the data, or allow more in params.yaml `validate.rules`"
        )


def refuse_missing_prompts(n_prompts: int, n_wanted: int) -> None:
    """InputError where the study would have fewer fresh prompts than planned."""
    if n_prompts < n_wanted:
        raise InputError(
            f"{paths.VALIDATED_PROMPTS}: {n_prompts} of {n_wanted} wanted prompts; add prompts to the file "
            f"named by `data.prompts` ({paths.VIOLATIONS} says which were set aside), or lower "
            "`generate.n_prompts`"
        )


def explain_no_holdout(error: HoldoutSizeError, largest: str) -> str:
    """The message for a person: what was wanted, what is possible, what ties pairs together, the way out."""
    begin = (
        f"{paths.VALIDATED_PAIRS}: no exact holdout of {error.wanted}: pairs that share a group, prompt or "
        f"text stay together, and some must be left to train on; {error.n_pairs:,} pairs are there"
    )
    if error.nearest:
        sizes = " or ".join(str(size) for size in error.nearest)
        return (
            f"{begin}; nearest possible sizes: {sizes}. Set `split.n_holdout` in params.yaml to one of "
            "these, or add pairs"
        )
    return (
        f"{begin}, and no size is possible: {largest}. Where that is boilerplate, `split.join_shared_words` "
        "and `split.join_shared_prompt_words` in params.yaml decide from how many shared words on texts stay "
        "together (0: never); where it is one group or prompt, add pairs of others"
    )
