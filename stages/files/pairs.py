"""The rows of preference data: one pair, one pair after the split, one fresh prompt."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, Self, TypeVar

from pydantic import Field

from stages.errors import InputError
from stages.files.hashing import hex_digest
from stages.files.record import Record

Shown = Literal["left", "right"]
Vote = Literal["chosen", "rejected", "tie"]


class Message(Record):
    """One turn of a conversation, as chat templates take it."""

    role: str
    content: str


class Conversation(Record):
    """A pair as messages, in TRL's form: `prompt` ends with the user's turn, both completions follow it."""

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]


class PreferencePair(Record):
    """Two completions of one prompt; an editor preferred `chosen`.

    `group_id` is the application or document, `chosen_shown` the side on which the preferred
    text stood where that is known, `synthetic` whether a generator wrote and judged it. `messages` is what
    the chat template renders where there is more than one turn of user and assistant, such as a system
    message; the three texts are then what a person reads of it. Where several judged these texts, `chosen` is
    what most of them preferred: `votes` is the vote of each known editor, `n_votes` also counts one that is
    unknown, `n_agree` are those for `chosen`. `source` is where a row comes from; `control` and `suspect` are
    votes of a re-judging (stages/labelling/).
    """

    pair_id: str
    prompt: str
    chosen: str
    rejected: str
    editor: str | None
    group_id: str | None
    section: str | None
    reviewed_at: str | None
    chosen_shown: Shown | None
    synthetic: bool
    messages: Conversation | None = Field(default=None, exclude_if=lambda messages: messages is None)
    source: str | None = Field(default=None, exclude_if=lambda source: source is None)
    n_votes: int = Field(default=1, exclude_if=lambda n: n == 1)
    n_agree: int = Field(default=1, exclude_if=lambda n: n == 1)
    votes: dict[str, Vote] = Field(default_factory=dict, exclude_if=lambda votes: not votes)

    def without_leading_space(self) -> Self:
        """The same pair without line breaks and spaces before its completions."""
        update: dict[str, Any] = {"chosen": self.chosen.lstrip(), "rejected": self.rejected.lstrip()}
        if self.messages:
            firsts = {side: getattr(self.messages, side) for side in update}
            update["messages"] = self.messages.model_copy(
                update={
                    side: (first.model_copy(update={"content": first.content.lstrip()}), *rest)
                    for side, (first, *rest) in firsts.items()
                }
            )
        return self.model_copy(update=update)

    @property
    def editors_votes(self) -> dict[str, Vote]:
        """Each known editor's own vote, also where only one judged."""
        return self.votes or ({self.editor: "chosen"} if self.editor is not None else {})

    @property
    def conversation(self) -> Conversation:
        """The messages, also of a pair that came as texts."""
        return self.messages or Conversation(
            prompt=(Message(role="user", content=self.prompt),),
            chosen=(Message(role="assistant", content=self.chosen),),
            rejected=(Message(role="assistant", content=self.rejected),),
        )


class SplitPair(PreferencePair):
    """A pair on one side of the split; pairs with the same `component_id` never part."""

    component_id: str


class Prompt(Record):
    """A fresh prompt of the blind study; no pair is about it."""

    prompt_id: str
    prompt: str
    synthetic: bool


Row = TypeVar("Row")


def first_rows(rows: Sequence[Row], n: int | Literal["all"], *, key: str) -> list[Row]:
    """The first `n` rows; split files stand in salted-hash order, so this is a random subset.

    InputError where more are asked for than there are; `key` names the parameter that asked.
    """
    if n == "all":
        return list(rows)
    if not rows:
        raise InputError(f"{key}: {n} wanted, none there; run `dvc repro`, which makes the rows")
    if n > len(rows):
        raise InputError(f"{key}: {n} wanted, {len(rows)} there; set {len(rows)} or less, or `all`")
    return list(rows[:n])


def split_sha256(pairs: Iterable[PreferencePair]) -> str:
    """Hash of the ids and texts of the held-out pairs, whatever their order: which 300 were these?"""
    rows = sorted(
        (pair.pair_id, pair.prompt, pair.chosen, pair.rejected)
        + ((pair.messages.model_dump_json(),) if pair.messages else ())
        for pair in pairs
    )
    return hex_digest(*(part for row in rows for part in row))
