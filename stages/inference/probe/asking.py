"""The probe put to one model: the log-prob of every text, the likeliest completion to every instruction."""

from typing import TYPE_CHECKING

from stages.files.hashing import hash_settings
from stages.inference.generation.sampling import NEUTRAL, generate_completions
from stages.inference.probe.prompts import PROMPTS
from stages.inference.probe.rows import Answer, TextScore
from stages.inference.probe.text_scoring import score_texts
from stages.inference.probe.texts import TEXTS
from stages.model.checkpoint import describe_rendering
from stages.model.rendering import render_prompt
from stages.run.params import Params

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LIKELIEST = 0.0  # temperature: no luck of the draw, and a model that loops shows it


def probe_model(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", params: Params, *, label: str
) -> list[TextScore | Answer]:
    """A row a text, then a row an instruction; the models must agree in `config_sha256`."""
    scores = score_texts(
        model,
        tokenizer,
        [text.text for text in TEXTS],
        batch_size=params.probe.batch_size,
        label=f"probe texts, {label}",
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
        label=f"probe prompts, {label}",
    )
    config = {
        "probe": params.probe.model_dump(),
        "runtime": params.runtime.model_dump(),
        "rendering": describe_rendering(tokenizer),
        "generation": NEUTRAL,
        "texts": [text.text for text in TEXTS],
        "prompts": [prompt.prompt for prompt in PROMPTS],
    }
    config_sha256 = hash_settings(config)
    return [
        *(
            TextScore(text_id=text.text_id, **score._asdict(), config_sha256=config_sha256)
            for text, score in zip(TEXTS, scores, strict=True)
        ),
        *(
            Answer(
                prompt_id=prompt.prompt_id,
                completion=raw.text,
                n_tokens=raw.n_tokens,
                ended=raw.ended,
                config_sha256=config_sha256,
            )
            for prompt, raw in zip(PROMPTS, completions, strict=True)
        ),
    ]
