"""Stage `blind`. Reads both models' completions; writes `data/blind/items.jsonl`.

Decides what can be judged blind: pairs the completions, sets identical ones apart, voids a
prompt whose text gives a model away. Deterministic; lots are drawn by `bluepencil study open`.
"""

from stages.errors import InputError
from stages.files.io import read_jsonl, write_jsonl
from stages.inference.generation.completions import Generation
from stages.run import paths
from stages.run.params import load_params
from stages.run.progress import say
from stages.run.shell import run_stage
from stages.study.items import pair_completions


def main() -> None:
    """Pair, scan and write; InputError where the two models answered different prompts."""
    params = load_params().study
    base_path, policy_path = paths.generations("base"), paths.generations("policy")
    base, policy = read_jsonl(base_path, Generation), read_jsonl(policy_path, Generation)

    try:
        items = pair_completions(base, policy, tell_phrases=params.tell_phrases)
    except ValueError as error:
        raise InputError(
            f"{base_path}, {policy_path}: {error}\n  run `dvc repro` to generate both again"
        ) from error

    write_jsonl(paths.BLIND_ITEMS, items)
    counts = [sum(item.status == status for item in items) for status in ("shown", "identical", "void")]
    say("blind: {} prompts to judge, {} identical, {} void".format(*counts))


if __name__ == "__main__":
    run_stage(main)
