"""Stage `writing`: does the policy make up more than the base, and how did its writing move?

Reads the judgeable items and the pairs that were trained on; writes metrics/writing.json and two tables in
data/writing/. Gates nothing: `gate` turns a clear rise into a remark.
"""

from stages.errors import InputError
from stages.files.io import read_jsonl, replacing_folder, write_csv, write_json
from stages.files.pairs import SplitPair
from stages.prose.changes import Texts
from stages.prose.summary import (
    CHANGE_COLUMNS,
    CLAIM_COLUMNS,
    claim_table,
    kind_table,
    read_all,
    summarise,
)
from stages.prose.tastes import pair_habits
from stages.run import paths
from stages.run.progress import say
from stages.run.shell import run_stage
from stages.study.items import BlindItem


def main() -> None:
    """Read both models' completions against their prompts; InputError where there are none."""
    items = read_jsonl(paths.BLIND_ITEMS, BlindItem)
    if not items:
        raise InputError(f"{paths.BLIND_ITEMS}: holds no prompt; run `dvc repro blind`")
    texts = [Texts(one.prompt_id, one.prompt, one.base_completion, one.policy_completion) for one in items]
    pairs = read_jsonl(paths.TRAIN_PAIRS, SplitPair)

    read = read_all(texts)
    differences = [pair_habits(pair.chosen, pair.rejected, pair.component_id) for pair in pairs]
    summary = summarise(read, [one for one in differences if one])

    with replacing_folder(paths.WRITING_TABLES) as folder:
        write_csv(folder / "mentions.csv", CLAIM_COLUMNS, claim_table(read, texts))
        write_csv(folder / "kinds.csv", CHANGE_COLUMNS, kind_table(summary))
    write_json(paths.WRITING_METRICS, {"writing": summary})
    say(f"writing: {len(read.readings)} of {len(texts)} prompts read")


if __name__ == "__main__":
    run_stage(main)
