"""Anchors: screens on which one text is plainly worse, to see that judging is awake.

They come from a file (`study.anchors`), so no completion of the study is seen twice because of them.
The worse text is off the subject, repeats itself or falls apart; it never has a model's side.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field

from stages.files.record import Record, ShortName

Text = Annotated[str, Field(min_length=1)]


class Anchor(Record):
    """A line of the file: a name, a prompt, and a sound and a plainly worse text."""

    name: ShortName
    prompt: Text
    better: Text
    worse: Text


def anchor_problems(anchors: Sequence[Anchor], *, n_wanted: int) -> Iterator[str]:
    """Each way in which the anchors cannot show that an editor is awake."""
    if len(anchors) < n_wanted:
        yield f"has {len(anchors)} anchors, and study.n_anchors is {n_wanted}; add some or lower it"
    for line, anchor in enumerate(anchors, start=1):
        before = anchors[: line - 1]
        if " ".join(anchor.better.split()) == " ".join(anchor.worse.split()):
            yield f"line {line}, {anchor.name}: both texts are equal, so neither is worse; write a worse one"
        if any(other.name == anchor.name for other in before):
            yield f"line {line}: the name {anchor.name} stands twice; give each anchor its own"
        texts = {text for other in before for text in (other.better, other.worse)}
        if {anchor.better, anchor.worse} & texts:
            yield f"line {line}, {anchor.name}: a text of it stands in another anchor, too; write another"
