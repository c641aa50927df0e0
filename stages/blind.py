"""Stage `blind`. Reads both models' completions; writes `data/blind/items.jsonl`.

Decides what can be judged blind: pairs the completions, sets identical ones apart, voids a
prompt whose text gives a model away. Deterministic; lots are drawn by `bluepencil study open`.
"""

from stages import paths
from stages.core.generation import Generation
from stages.core.items import pair_completions
from stages.errors import InputError
from stages.io import read_jsonl, write_jsonl
from stages.params import load_params
from stages.progress import say
from stages.shell import run_stage


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
