"""What one model did with the probe set: a row a text, a row a prompt."""

from typing import Annotated, Literal

from pydantic import Field, RootModel

from stages.files.record import Record


class TextScore(Record):
    """One neutral text under one model: the sum of its tokens' log-probs, in nats."""

    kind: Literal["text"] = "text"
    text_id: str
    n_tokens: Annotated[int, Field(ge=1)]
    logp: Annotated[float, Field(le=0)]
    config_sha256: str


class Answer(Record):
    """One model's completion to one instruction, as it wrote it."""

    kind: Literal["answer"] = "answer"
    prompt_id: str
    completion: str
    n_tokens: Annotated[int, Field(ge=0)]
    ended: bool
    config_sha256: str


class ProbeRow(RootModel[Annotated[TextScore | Answer, Field(discriminator="kind")]]):
    """One line of `data/probe/<model>.jsonl`."""
