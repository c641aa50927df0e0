"""One row of tokens for a prompt and all its answers, so that the prompt is run through a model once.

Positions restart where each option begins, and `branches` says who may attend to whom: an option
sees the prompt (branch 0) and itself.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stages.model.rendered import n_common

Tokens = tuple[int, ...]


class PrefixGroup(NamedTuple):
    """Prompts (as places in the given sequence) whose first `n_shared` tokens are the same."""

    n_shared: int
    members: list[int]


def group_by_prefix(prompts: Sequence[Tokens], *, min_shared: int) -> list[PrefixGroup]:
    """Group prompts that share at least `min_shared` tokens; all others form one group of 0.

    At least one token of every prompt stays outside the shared part, because the model must
    still be run on something. Every place is a member of exactly one group.
    """
    order = sorted(range(len(prompts)), key=lambda place: prompts[place])
    runs: list[list[int]] = []
    for place in order:
        if runs and n_common(prompts[runs[-1][-1]], prompts[place]) >= min_shared:
            runs[-1].append(place)
        else:
            runs.append([place])
    alone = [run[0] for run in runs if len(run) == 1]
    groups = [PrefixGroup(_count_common(prompts, run), run) for run in runs if len(run) > 1]
    return groups + ([PrefixGroup(0, alone)] if alone else [])


def _count_common(prompts: Sequence[Tokens], run: Sequence[int]) -> int:
    """What all of a sorted run share is what its two ends share."""
    shortest = min(len(prompts[place]) for place in run)
    return min(n_common(prompts[run[0]], prompts[run[-1]]), shortest - 1)


def split_batches(lengths: Sequence[int], *, max_tokens: int) -> list[list[int]]:
    """Batches of places, longest rows first, whose padded size stays within `max_tokens`.

    A row that is longer than `max_tokens` makes a batch of its own.
    """
    order = sorted(range(len(lengths)), key=lambda place: (-lengths[place], place))
    batches: list[list[int]] = []
    while order:
        n_rows = max(1, max_tokens // max(1, lengths[order[0]]))
        batches.append(order[:n_rows])
        order = order[n_rows:]
    return batches


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
