"""Stage `generate@<model>`: the completions of base or policy to the fresh prompts.

Reads one model and the prompts; writes `data/generate/<model>.jsonl`. Both models get the same
settings and the same seed for the same prompt, and the same clean-up afterwards.
"""

import sys

from stages.files.hashing import hash_settings, seed
from stages.files.io import read_jsonl, write_jsonl
from stages.files.pairs import Prompt, first_rows
from stages.inference.generation.completions import make_generation
from stages.run import paths, processes
from stages.run.params import load_params
from stages.run.shell import model_argument, run_stage


def main() -> None:
    """Answer every prompt with the model named on the command line."""
    model_name = model_argument(sys.argv)
    params = load_params()
    settings = params.generate
    prompts = first_rows(
        read_jsonl(paths.VALIDATED_PROMPTS, Prompt), settings.n_prompts, key="generate.n_prompts"
    )
    seeds = [seed(str(settings.seed), prompt.prompt_id) for prompt in prompts]
    processes.start_scoring(params, module="stages.generate")

    from stages.inference.generation.sampling import NEUTRAL, generate_completions
    from stages.model.checkpoint import describe_rendering, for_short_texts, load_model, load_tokenizer
    from stages.model.rendering import render_prompt

    tokenizer = load_tokenizer(paths.BASE_MODEL)
    settings_sha256 = hash_settings(
        settings.model_dump(), params.runtime.model_dump(), describe_rendering(tokenizer), NEUTRAL
    )
    policy = paths.POLICY_MODEL if model_name == "policy" else None
    model = load_model(paths.BASE_MODEL, policy, for_short_texts(params.runtime, stage="generate"))
    completions = generate_completions(
        model,
        tokenizer,
        [render_prompt(tokenizer, prompt.prompt) for prompt in prompts],
        seeds,
        max_new_tokens=settings.max_new_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        batch_size=settings.batch_size,
        label=f"generate, {model_name}",
    )
    rows = [
        make_generation(prompt, raw, seed=one_seed, settings_sha256=settings_sha256)
        for prompt, raw, one_seed in zip(prompts, completions, seeds, strict=True)
    ]
    if processes.is_main_process():
        write_jsonl(paths.generations(model_name), rows)


if __name__ == "__main__":
    run_stage(main)
