"""Two models' answers to the same questions, or why they cannot be put side by side."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from stages.core.mmlu import MmluAnswer


class AnswerError(ValueError):
    """The answers of one model contradict themselves; the message says where."""


class Pair(NamedTuple):
    """One question, answered by both models."""

    subject: str
    category: str
    base_correct: bool
    policy_correct: bool

    @property
    def worse(self) -> int:
        """1: only the base is right; -1: only the policy is; 0: they agree."""
        return int(self.base_correct) - int(self.policy_correct)


def refuse_contradictions(answers: Sequence[MmluAnswer]) -> None:
    """AnswerError where there is no answer, a question twice, or more than one configuration."""
    if not answers:
        raise AnswerError("has no answers; run the mmlu stage again")
    repeated = [name for name, n in Counter(one.question_id for one in answers).items() if n > 1]
    if repeated:
        raise AnswerError(
            f"{len(repeated)} questions are answered twice (first: {repeated[0]}); run mmlu again"
        )
    if len({one.config_sha256 for one in answers}) > 1:
        raise AnswerError("the answers come from more than one configuration; run mmlu again")


def find_mismatch(base: Sequence[MmluAnswer], policy: Sequence[MmluAnswer]) -> str | None:
    """Why the two models cannot be compared question by question, or None where they can."""
    base_ids, policy_ids = ({one.question_id for one in answers} for answers in (base, policy))
    if base_ids != policy_ids:
        return (
            f"the models answered different questions: {len(base_ids - policy_ids)} only the base, "
            f"{len(policy_ids - base_ids)} only the policy, {len(base_ids & policy_ids)} both"
        )
    if base[0].config_sha256 != policy[0].config_sha256:
        return "the models were asked under different configurations"
    facts = {one.question_id: (one.gold, one.subject, one.category) for one in base}
    if any(facts[one.question_id] != (one.gold, one.subject, one.category) for one in policy):
        return "a question has another right answer or subject in the one file than in the other"
    return None


def pair_answers(base: Sequence[MmluAnswer], policy: Sequence[MmluAnswer]) -> list[Pair]:
    """Both models' answers to each question; `find_mismatch` must have found none."""
    policy_correct = {one.question_id: one.correct for one in policy}
    return [
        Pair(one.subject, one.category, one.correct, policy_correct[one.question_id])
        for one in sorted(base, key=lambda one: one.question_id)
    ]
