"""A chat template is a program of whoever made the checkpoint: read and tried before it may be kept.

transformers renders templates in Jinja's sandbox, which refuses attributes that lead out of it, changes
of what it is given and ranges above 100,000. It stops neither loops inside loops nor texts that are
multiplied, so one short conversation has to come out in time, and powers and huge factors are refused.
"""

import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jinja2 import Environment, TemplateError, nodes

from stages.errors import ModelError
from stages.files.pairs import PreferencePair
from stages.model.rendering import render_pair, render_prompt
from stages.run.progress import say

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SECONDS = 10.0
LARGEST_FACTOR = 1000
LOADING = (nodes.Import, nodes.FromImport, nodes.Include, nodes.Extends)
EXTENSIONS = ["jinja2.ext.loopcontrols", "jinja2.ext.do"]
SAMPLE = PreferencePair(
    pair_id="a sample",
    prompt="Write one sentence.",
    chosen="This is one.",
    rejected="No.",
    editor=None,
    group_id=None,
    section=None,
    reviewed_at=None,
    chosen_shown=None,
    synthetic=True,
)


def try_template(
    tokenizer: "PreTrainedTokenizerBase", place: str, kwargs: Mapping[str, object] | None = None
) -> None:
    """Render a sample pair; ModelError where the template reaches out, fails, drops texts or takes for ever.

    A name of `kwargs` that the template never reads is said: a misspelt one changes nothing.
    """
    template = tokenizer.chat_template
    text = template if isinstance(template, str) else template["default"]
    refuse_growing(text, place)
    for name in kwargs or {}:
        if not re.search(rf"\b{re.escape(name)}\b", text):
            say(f"base_model.chat_template_kwargs: the chat template of {place} does not read {name!r}")
    try:
        with time_limit(SECONDS):
            first = render_pair(tokenizer, SAMPLE)
            if render_prompt(tokenizer, SAMPLE.rejected) == first.prompt_ids:
                raise ModelError(
                    "the chat template renders two different prompts alike, so it drops their text; use the "
                    "checkpoint's own template"
                )
    except ModelError as error:
        raise ModelError(f"{place}: {error}") from error


def refuse_growing(template: str, place: str) -> None:
    """ModelError for a template that loads others, or that multiplies without need."""
    try:
        tree = Environment(extensions=EXTENSIONS, autoescape=True).parse(template)
    except TemplateError:
        return  # generation blocks are an extension of transformers' own; rendering judges the rest
    loads = next(tree.find_all(LOADING), None)
    if loads is not None:
        raise ModelError(f"{place}: the chat template loads another file in line {loads.lineno}; inline it")
    for node in tree.find_all((nodes.Mul, nodes.Pow)):
        sides = (node.left, node.right)
        factors = [side.value for side in sides if isinstance(side, nodes.Const)]
        if isinstance(node, nodes.Pow) or any(isinstance(n, int) and n > LARGEST_FACTOR for n in factors):
            raise ModelError(
                f"{place}: the chat template multiplies without bound in line {node.lineno}; "
                "use the checkpoint's own template, or write that text out"
            )


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """ModelError where the block takes longer."""

    def stop(*_: object) -> None:
        raise ModelError(
            f"the chat template takes more than {seconds:g} seconds for one short conversation; use "
            "another checkpoint, or correct the loop in it"
        )

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
