"""Stage `probe@<model>`: base or policy on the probe set.

Reads one model; writes `data/probe/<model>.jsonl`: the log-prob of every neutral text, and the likeliest
completion to every instruction. Judges nothing: the rules are applied by `probe_summary`.
"""

import sys

from stages.files.io import write_jsonl
from stages.run import paths, processes
from stages.run.params import load_params
from stages.run.shell import model_argument, run_stage


def main() -> None:
    """Score the texts and answer the prompts with the model named on the command line."""
    model_name = model_argument(sys.argv)
    params = load_params()
    processes.start_scoring(params, module="stages.probe")

    from stages.inference.probe.asking import probe_model
    from stages.model.checkpoint import for_short_texts, load_model, load_tokenizer

    tokenizer = load_tokenizer(paths.BASE_MODEL)
    policy = paths.POLICY_MODEL if model_name == "policy" else None
    model = load_model(paths.BASE_MODEL, policy, for_short_texts(params.runtime, stage="probe"))
    rows = probe_model(model, tokenizer, params, label=model_name)
    if processes.is_main_process():
        write_jsonl(paths.probe_rows(model_name), rows)


if __name__ == "__main__":
    run_stage(main)
