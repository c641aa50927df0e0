"""Message lists as TRL reads them: where the prompt ends, and what a person would read of it."""

import math
from collections.abc import Mapping
from typing import Any

from stages.files.pairs import Conversation, Message

ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
Messages = tuple[Message, ...]
SIDES = ("chosen", "rejected")


def is_conversation(fields: Mapping[str, Any]) -> bool:
    """Does any of the texts come as a list?"""
    return any(isinstance(fields.get(name), list) for name in ("prompt", *SIDES))


def read_conversation(fields: Mapping[str, Any]) -> Conversation:
    """The messages of a pair; ValueError says which are none.

    As TRL has it, a prompt inside both lists is their longest common beginning (its `extract_prompt`). A
    prompt that is a text is the user's only turn before, or is repeated among the messages of both lists.
    """
    chosen, rejected = (_messages(name, fields.get(name), "assistant") for name in SIDES)
    prompt = fields.get("prompt")
    if isinstance(prompt, float) and math.isnan(prompt):  # an empty cell in a table of numbers
        prompt = None
    if not isinstance(prompt, str | list | None):
        raise ValueError(f"prompt is {type(prompt).__name__}, a text or a list of messages was expected")
    starts = _common_beginning(chosen, rejected)
    if isinstance(prompt, list):
        start = _messages("prompt", prompt, "user")
        if chosen[: len(start)] == start == rejected[: len(start)]:
            chosen, rejected = chosen[len(start) :], rejected[len(start) :]
    elif chosen[0].role == "assistant" == rejected[0].role:
        start = (Message(role="user", content=prompt or ""),)
    else:
        start = chosen[:starts]
        if prompt and prompt.strip() not in {message.content.strip() for message in start}:
            raise ValueError("the prompt is none of the messages with which chosen and rejected begin")
        chosen, rejected = chosen[starts:], rejected[starts:]
    for name, messages in (("prompt", start), ("chosen", chosen), ("rejected", rejected)):
        if not messages:
            raise ValueError(f"{name} holds no message of its own")
    if start[-1].role not in ("user", "tool") or any(
        side[-1].role != "assistant" for side in (chosen, rejected)
    ):
        raise ValueError("the prompt must end with the user's turn, chosen and rejected with the assistant's")
    return Conversation(prompt=start, chosen=chosen, rejected=rejected)


def is_plain(conversation: Conversation) -> bool:
    """Is it one turn of the user and one of the assistant, as a pair of texts is rendered anyway?"""
    one_each = all(
        len(messages) == 1 for messages in (conversation.prompt, conversation.chosen, conversation.rejected)
    )
    return one_each and conversation.prompt[0].role == "user"


def as_text(messages: Messages) -> str:
    """What a person reads: every turn but the system's, which many pairs share, with a blank line between."""
    return "\n\n".join(one.content for one in messages if one.role not in ("system", "developer"))


def _messages(name: str, value: Any, role: str) -> Messages:
    if isinstance(value, str):
        return (Message(role=role, content=value),)
    if not isinstance(value, list) or not value:
        raise ValueError(f"{name} is {type(value).__name__}, a text or a list of messages was expected")
    return tuple(_message(f"{name}, message {place}", one) for place, one in enumerate(value, start=1))


def _message(place: str, value: Any) -> Message:
    wanted = (value.get("role"), value.get("content")) if isinstance(value, dict) else (None,)
    if not all(isinstance(one, str) for one in wanted):
        raise ValueError(f"{place} has no role and content as texts")
    if value["role"] not in ROLES:
        raise ValueError(f"{place} has the role {value['role']!r}; {', '.join(sorted(ROLES))} are known")
    more = sorted(
        key for key, one in value.items() if key not in ("role", "content") and one not in (None, [], "")
    )
    if more:
        raise ValueError(f"{place} has {', '.join(map(str, more))}; only role and content are read")
    return Message(role=value["role"], content=value["content"])


def _common_beginning(one: Messages, other: Messages) -> int:
    """Messages alike at the start; one fewer than there are where nothing differs."""
    shorter = min(len(one), len(other))
    return next((place for place in range(shorter) if one[place] != other[place]), shorter - 1)
