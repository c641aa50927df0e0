"""Reads data/validate/{pairs,prompts}.jsonl and metrics/validate.json; writes data/split/{train,
selection,holdout}.jsonl and metrics/split.json. Decides which pairs are held out: exactly
`split.n_holdout`, by whole components, so that no text stands on two sides.
"""

from stages import paths
from stages.core.components import index_texts, label_components, link_texts, name_components
from stages.core.overlaps import count_overlaps
from stages.core.pairs import PreferencePair, Prompt
from stages.core.split_parts import Parts, describe_split, divide_pairs
from stages.core.splitting import HoldoutSizeError, choose_sides
from stages.errors import InputError
from stages.io import read_json, read_jsonl, write_json, write_jsonl
from stages.params import Params, load_params
from stages.progress import say
from stages.shell import run_stage


def main() -> None:
    """Split the validated pairs."""
    params = load_params()
    pairs = read_jsonl(paths.VALIDATED_PAIRS, PreferencePair)
    prompts = read_jsonl(paths.VALIDATED_PROMPTS, Prompt)
    refuse_unfit_data(read_json(paths.VALIDATE_METRICS)["validate"])
    refuse_missing_prompts(len(prompts), params.generate.n_prompts)

    parts = split_pairs(pairs, params)
    overlaps = count_overlaps(
        parts._asdict(),
        {name: [pair.component_id for pair in part] for name, part in parts._asdict().items()},
        prompts,
        similarity=params.validate_.near_duplicate_similarity,
    )
    metrics = describe_split(parts, prompts, overlaps)

    write_jsonl(paths.TRAIN_PAIRS, parts.train)
    write_jsonl(paths.SELECTION_PAIRS, parts.selection)
    write_jsonl(paths.HOLDOUT_PAIRS, parts.holdout)
    write_json(paths.SPLIT_METRICS, {"split": metrics})
    say(
        f"split: {metrics['n_train']} train, {metrics['n_selection']} selection, "
        f"{metrics['n_holdout']} holdout, {metrics['n_components']} components, "
        f"{metrics['n_overlaps']} overlaps"
    )


def split_pairs(pairs: list[PreferencePair], params: Params) -> Parts:
    """Join what belongs together and divide it; InputError where no exact holdout exists."""
    texts = index_texts(pairs)
    links = link_texts(
        texts.table,
        similarity=params.validate_.near_duplicate_similarity,
        n_shared_words=params.split.join_shared_words,
    )
    labels = label_components(texts, links)
    components = name_components([pair.pair_id for pair in pairs], labels, salt=params.split.salt)
    try:
        sides = choose_sides(
            components, n_holdout=params.split.n_holdout, n_selection=params.split.n_selection
        )
    except HoldoutSizeError as error:
        raise InputError(explain_no_holdout(error)) from error
    return divide_pairs(pairs, components, sides, salt=params.split.salt)


def refuse_unfit_data(validated: dict[str, object]) -> None:
    """InputError where an error-level rule was broken more often than allowed."""
    if validated["ok"] is not True:
        raise InputError(
            f"{paths.VALIDATE_METRICS}: the pairs are unfit to learn from: {validated['broken']} broken more "
            f"often than allowed; {paths.DATA_REPORT} shows where, {paths.VIOLATIONS} lists every row. "
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
