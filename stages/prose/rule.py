"""Patterns of a text and what they say, tried in their order; what one has read, no later one sees."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from stages.prose.mention import Mention

Match = re.Match[str]
Found = Iterable[Mention] | None  # None: the rule does not apply, a later one may
READ = "\0"  # stands for each character that a rule has read


class Rule(NamedTuple):
    """A pattern and what it reads; nothing where the pattern stands for no fact."""

    pattern: re.Pattern[str]
    read: Callable[[Match], Found]


def rule(pattern: str, read: Callable[[Match], Found]) -> Rule:
    """A rule whose `^` and `$` are those of a line."""
    return Rule(re.compile(pattern, re.MULTILINE), read)


def apply_rules(rules: Sequence[Rule], text: str) -> list[Mention]:
    """All that the rules read in a text, in its order."""
    found: list[Mention] = []
    left = text
    for one in rules:
        end = 0
        for match in one.pattern.finditer(left):
            mentions = one.read(match) if match.start() >= end else None
            if mentions is None:
                continue
            found.extend(mentions)
            end = max([match.end(), *(mention.end for mention in mentions)])
            left = left[: match.start()] + READ * (end - match.start()) + left[end:]
    return sorted(found, key=lambda mention: mention.start)
