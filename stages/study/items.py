"""What the editors may be shown: base and policy completions paired, scanned for tells.

A tell is anything in a text that hints at which model, or that a model, wrote it. One tell on
either side voids the prompt for both models, so no model gains from being recognised. Identical
completions are a tie without asking anybody; nobody sees them, so they are not scanned.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from stages.files.record import Record
from stages.files.sentences import ends_a_sentence
from stages.inference.generation.completions import Generation

TellRule = Literal["names_no_model", "has_no_role_tag", "has_no_template_leftover", "ends_a_sentence"]

ROLE_TAG = re.compile(r"(?im)^[\s#*>\[(]*(user|assistant|system|human|ai|bot|model)[\s*\])]*:")
TEMPLATE_LEFTOVER = re.compile(
    r"<[|｜][^<>|｜\n]{1,40}[|｜]?>|<[^<>|｜\n]{1,40}[|｜]>|</?s>|<(?:bos|eos|pad|unk)>|\[/?INST\]|<</?SYS>>|</?(?:start|end)_of_turn>"
    r"|</?(?:seed:)?(?:think|thinking|thought|reasoning)>|\[/?THINK\]"
    r"|^#{2,} ?(?:Instruction|Response|Input)\b:?|\{\{[^{}\n]*\}\}|\{%[^{}\n]*%\}|\ufffd",
    re.IGNORECASE | re.MULTILINE,
)


class Tell(Record):
    """One phrase of one side that breaks a rule; `rule` is the sentence that should have held."""

    side: Literal["base", "policy"]
    rule: TellRule
    phrase: str


class BlindItem(Record):
    """One prompt with both completions. `tells` non-empty: void for both models."""

    prompt_id: str
    prompt: str
    base_completion: str
    policy_completion: str
    identical: bool
    tells: list[Tell]
    synthetic: bool

    @property
    def status(self) -> Literal["shown", "identical", "void"]:
        """What happens to the prompt: judged, counted as a tie of every editor, or left out."""
        if self.identical:
            return "identical"
        return "void" if self.tells else "shown"


def pair_completions(
    base: Sequence[Generation], policy: Sequence[Generation], *, tell_phrases: Sequence[str]
) -> list[BlindItem]:
    """One item per prompt, in the base's order; ValueError where the two sides do not belong together.

    `tell_phrases` are matched as whole words, whatever their case, unless the prompt has them too.
    """
    by_id = {row.prompt_id: row for row in policy}
    problems = list(_mismatches(base, policy, by_id))
    if problems:
        raise ValueError("\n  ".join(["base and policy answered different prompts", *problems[:5]]))
    return [_pair(row, by_id[row.prompt_id], tell_phrases) for row in base]


def _mismatches(
    base: Sequence[Generation], policy: Sequence[Generation], by_id: dict[str, Generation]
) -> Iterator[str]:
    if not base:
        yield "there are no completions"
    for name, rows in (("base", base), ("policy", policy)):
        ids = [row.prompt_id for row in rows]
        yield from (
            f"prompt {i}: answered twice by {name}" for i in sorted({i for i in ids if ids.count(i) > 1})
        )
    yield from (
        f"prompt {row.prompt_id}: not answered by policy" for row in base if row.prompt_id not in by_id
    )
    known = {row.prompt_id: row for row in base}
    for row in policy:
        rival = known.get(row.prompt_id)
        if rival is None:
            yield f"prompt {row.prompt_id}: not answered by base"
        elif rival.prompt != row.prompt:
            yield f"prompt {row.prompt_id}: its text differs between base and policy"
        elif rival.settings_sha256 != row.settings_sha256:
            yield f"prompt {row.prompt_id}: generation settings differ between base and policy"


def _pair(base: Generation, policy: Generation, tell_phrases: Sequence[str]) -> BlindItem:
    identical = base.completion == policy.completion
    tells = (
        []
        if identical
        else [*find_tells(base, "base", tell_phrases), *find_tells(policy, "policy", tell_phrases)]
    )
    return BlindItem(
        prompt_id=base.prompt_id,
        prompt=base.prompt,
        base_completion=base.completion,
        policy_completion=policy.completion,
        identical=identical,
        tells=tells,
        synthetic=base.synthetic or policy.synthetic,
    )


def find_tells(
    row: Generation, side: Literal["base", "policy"], tell_phrases: Iterable[str]
) -> Iterator[Tell]:
    """Every tell of one completion; a phrase that the prompt itself contains is none."""
    text = row.completion
    for phrase in tell_phrases:
        pattern = re.compile(rf"(?i)(?<!\w){re.escape(phrase)}(?!\w)")
        if pattern.search(text) and not pattern.search(row.prompt):
            yield Tell(side=side, rule="names_no_model", phrase=phrase)
    for match in ROLE_TAG.finditer(text):
        yield Tell(side=side, rule="has_no_role_tag", phrase=match.group().strip())
    for match in TEMPLATE_LEFTOVER.finditer(text):
        yield Tell(side=side, rule="has_no_template_leftover", phrase=match.group())
    if row.finish_reason == "length" and not ends_a_sentence(text):
        yield Tell(side=side, rule="ends_a_sentence", phrase=text[-40:])
