"""`python -m stages.probe base|policy`: one model on the probe set.

Reads a model; writes data/probe/<model>.jsonl: the log-prob of every neutral text, and the likeliest
completion to every instruction. Judges nothing: the rules are applied by `probe_summary`.
"""

import sys
from collections.abc import Iterator

from stages.files.hashing import hex_digest
from stages.files.io import dump_json, write_jsonl
from stages.inference.probe.prompts import PROMPTS
from stages.inference.probe.rows import Answer, TextScore
from stages.inference.probe.texts import TEXTS
from stages.run import paths
from stages.run.params import Params, load_params
from stages.run.shell import model_argument, run_stage

LIKELIEST = 0.0  # temperature: no luck of the draw, and a model that loops shows it


def main() -> None:
    """Score the texts and answer the prompts with the model named on the command line."""
    model_name = model_argument(sys.argv)
    params = load_params()

    from stages.model.checkpoint import for_short_texts, load_model, load_tokenizer

    tokenizer = load_tokenizer(paths.BASE_MODEL)
    policy = paths.POLICY_MODEL if model_name == "policy" else None
    model = load_model(paths.BASE_MODEL, policy, for_short_texts(params.runtime, stage="probe"))

    from stages.inference.generation.sampling import generate_completions
    from stages.inference.probe.text_scoring import score_texts
    from stages.model.rendering import render_prompt

    config_sha256 = hash_config(params, chat_template=str(tokenizer.chat_template))
    scores = score_texts(
        model,
        tokenizer,
        [text.text for text in TEXTS],
        batch_size=params.probe.batch_size,
        label=f"probe texts, {model_name}",
    )
    completions = generate_completions(
        model,
        tokenizer,
        [render_prompt(tokenizer, prompt.prompt) for prompt in PROMPTS],
        [0] * len(PROMPTS),
        max_new_tokens=params.probe.max_new_tokens,
        temperature=LIKELIEST,
        top_p=1.0,
        batch_size=params.probe.batch_size,
        label=f"probe prompts, {model_name}",
    )

    def rows() -> Iterator[TextScore | Answer]:
        for text, score in zip(TEXTS, scores, strict=True):
            yield TextScore(text_id=text.text_id, **score._asdict(), config_sha256=config_sha256)
        for prompt, raw in zip(PROMPTS, completions, strict=True):
            yield Answer(
                prompt_id=prompt.prompt_id,
                completion=raw.text,
                n_tokens=raw.n_tokens,
                ended=raw.ended,
                config_sha256=config_sha256,
            )

    write_jsonl(paths.probe_rows(model_name), rows())


def hash_config(params: Params, *, chat_template: str) -> str:
    """SHA-256 of everything but the model that decides a row; the models must agree in it."""
    settings = {
        "probe": params.probe.model_dump(),
        "runtime": params.runtime.model_dump(),
        "chat_template": chat_template,
        "texts": [text.text for text in TEXTS],
        "prompts": [prompt.prompt for prompt in PROMPTS],
    }
    return hex_digest(dump_json(settings))


if __name__ == "__main__":
    run_stage(main)
