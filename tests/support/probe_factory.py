"""One model's rows of the probe, with defaults."""

from stages.inference.probe.prompts import PROMPTS
from stages.inference.probe.rows import Answer, ProbeRow, TextScore
from stages.inference.probe.texts import TEXTS


def make_rows(
    *, logp: float = -200.0, completion: str = "A cat purrs.", config_sha256: str = "c"
) -> list[ProbeRow]:
    """Every text with one log-prob and every prompt with one completion."""
    texts = [
        TextScore(text_id=text.text_id, n_tokens=100, logp=logp - number, config_sha256=config_sha256)
        for number, text in enumerate(TEXTS)
    ]
    answers = [
        Answer(
            prompt_id=prompt.prompt_id,
            completion=completion,
            n_tokens=4,
            ended=True,
            config_sha256=config_sha256,
        )
        for prompt in PROMPTS
    ]
    return [ProbeRow(root=row) for row in (*texts, *answers)]
