"""One row of tokens for a prompt and all its answers, so that the prompt is run through a model once.

Positions restart where each option begins, and `branches` says who may attend to whom: an option
sees the prompt (branch 0) and itself.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stages.core.prefixes import Tokens


class Prompt(NamedTuple):
    """A context and its different continuations; equal ones are run once and so tie exactly."""

    context: Tokens
    options: list[Tokens]


class Row(NamedTuple):
    """One row of a batch: tokens, their positions, their branch (0 is the prompt), who predicts what."""

    tokens: list[int]
    positions: list[int]
    branches: list[int]
    predictors: list[int]  # place in the row of the token that predicts ...
    labels: list[int]  # ... this token; options one after the other


def collect_prompts(pairs: Iterable[tuple[Sequence[int], Sequence[int]]]) -> list[Prompt]:
    """Pairs (context, continuation) by context, each with its different continuations, first come first."""
    options: dict[Tokens, dict[Tokens, None]] = {}
    for context, option in pairs:
        options.setdefault(tuple(context), {})[tuple(option)] = None
    return [Prompt(context, list(found)) for context, found in options.items()]


def build_row(prompt: Prompt, *, n_shared: int) -> Row:
    """Lay a prompt (without its shared beginning) and its options out in one row.

    The last token of an option predicts nothing and stays out; a one-token option adds none.
    """
    tokens = list(prompt.context[n_shared:])
    opening = len(tokens) - 1  # predicts the first token of every option
    positions = list(range(n_shared, len(prompt.context)))
    branches = [0] * len(tokens)
    predictors: list[int] = []
    labels: list[int] = []
    for branch, option in enumerate(prompt.options, start=1):
        predictors += [opening, *range(len(tokens), len(tokens) + len(option) - 1)]
        labels += option
        positions += range(len(prompt.context), len(prompt.context) + len(option) - 1)
        branches += [branch] * (len(option) - 1)
        tokens += option[:-1]
    return Row(tokens, positions, branches, predictors, labels)
