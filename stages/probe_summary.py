"""Stage `probe_summary`: has the policy come apart where no editor looked?

Reads data/probe/{base,policy}.jsonl; writes metrics/probe.json and two tables in data/probe_summary/.
Applies the rules to the answers; `gate` turns what moved too far into a warning.
"""

from stages.errors import InputError
from stages.files.io import read_jsonl, replacing_folder, write_csv, write_json
from stages.inference.probe.rows import ProbeRow
from stages.measures.probe import Probed, ProbeError, prompt_table, sort_rows, summarise, text_table
from stages.run import paths
from stages.run.shell import run_stage

TEXT_COLUMNS = ["text_id", "genre", "base_perplexity", "policy_perplexity", "rise"]
PROMPT_COLUMNS = [
    "prompt_id",
    "ability",
    "base_followed",
    "policy_followed",
    "base_repeated",
    "policy_repeated",
]


def main() -> None:
    """Set both models side by side."""
    base, policy = read_rows("base"), read_rows("policy")
    with replacing_folder(paths.PROBE_TABLES) as folder:
        write_csv(folder / "texts.csv", TEXT_COLUMNS, text_table(base, policy))
        write_csv(folder / "prompts.csv", PROMPT_COLUMNS, prompt_table(base, policy))
    write_json(paths.PROBE_METRICS, {"probe": summarise(base, policy)})


def read_rows(model: str) -> Probed:
    """One model's rows; InputError where the file is broken or not of the present probe set."""
    path = paths.probe_rows(model)
    try:
        return sort_rows(read_jsonl(path, ProbeRow))
    except ProbeError as error:
        raise InputError(f"{path}: {error}") from error


if __name__ == "__main__":
    run_stage(main)
