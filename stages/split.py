"""Reads data/validate/{pairs,prompts}.jsonl and metrics/validate.json; writes data/split/{train,
selection,holdout}.jsonl, data/split/report.html and metrics/split.json. Decides which pairs are
held out: exactly `split.n_holdout`, by whole components, so that no text stands on two sides. Stops
where pairs that were held out would be trained on, or the reverse.
"""

from stages.data.earlier_split import FILES, N_NAME, read_last_split, refuse_redraw
from stages.data.forms.row_file import RowFile
from stages.data.split_files import (
    prove,
    read_columns,
    refuse_missing_prompts,
    refuse_unfit_data,
    split_pairs,
    split_rows,
)
from stages.data.split_page import describe_split, describe_strata, summarise_split
from stages.files.io import read_json, read_jsonl, write_json, write_jsonl, write_text
from stages.files.pairs import PreferencePair, Prompt, SplitPair, split_sha256
from stages.measures.ceiling import count_votes, tell_ceiling
from stages.pages.html import link_pages, render_page
from stages.run import paths
from stages.run.params import load_params
from stages.run.progress import say
from stages.run.shell import run_stage


def main() -> None:
    """Split the validated pairs."""
    params = load_params()
    pairs = RowFile(paths.VALIDATED_PAIRS, PreferencePair)
    prompts = read_jsonl(paths.VALIDATED_PROMPTS, Prompt)
    refuse_unfit_data(read_json(paths.VALIDATE_METRICS).get("validate"))
    refuse_missing_prompts(len(prompts), params.generate.n_prompts)

    columns, texts = read_columns(pairs, prompts)
    split = split_pairs(columns.pair_ids, texts, params)
    del texts  # the proof needs the room
    sha256 = split_sha256(pairs.at(split.parts.holdout))
    refuse_redraw(
        read_last_split(), split.parts, split.item_keys, columns.pair_ids,
        name=sha256[:N_NAME], replaces=params.split.replaces,
    )  # fmt: skip
    for name, path in FILES.items():
        write_jsonl(path, split_rows(pairs, getattr(split.parts, name), split.components))
    proof = prove(prompts, params)
    metrics = describe_split(columns, split.components, split.parts, *proof) | {"split_sha256": sha256}
    agreement = read_json(paths.VALIDATE_METRICS)["validate"].get("agreement", {})
    for name, path in FILES.items():
        metrics[f"{name}_ceiling"] = tell_ceiling(agreement, count_votes(RowFile(path, SplitPair)))
    strata = describe_strata(columns, split.parts)
    write_text(
        paths.SPLIT_REPORT,
        render_page(
            "data/split_report.html.j2", links=link_pages(paths.SPLIT_REPORT), metrics=metrics, strata=strata
        ),
    )
    write_json(paths.SPLIT_METRICS, {"split": metrics})
    if split.kept:
        say(f"split: {split.kept}")
    say(summarise_split(metrics))


if __name__ == "__main__":
    run_stage(main)
