"""What `capability` writes: the block of metrics/capability.json, and the rows that `dvc plots` draws."""

from collections.abc import Sequence
from typing import NamedTuple

from stages.inference.mmlu.questions import MmluAnswer, find_mismatch
from stages.measures.capability import (
    drop_by_category,
    drop_by_subject,
    pair_answers,
    summarise,
)


class SubjectRow(NamedTuple):
    """One subject; accuracies and drop are shares of its questions."""

    subject: str
    category: str
    n: int
    base_acc: float
    policy_acc: float
    n_worse: int
    n_better: int
    drop: float
    p_holm: float


class CategoryRow(NamedTuple):
    """One category; `low` and `high` are one-sided 95 % bounds of the drop."""

    category: str
    n: int
    base_acc: float
    policy_acc: float
    drop: float
    low: float
    high: float


class CapabilityTables(NamedTuple):
    """The metrics, and tables that are empty where the models were not asked the same."""

    metrics: dict[str, object]
    subjects: list[SubjectRow]
    categories: list[CategoryRow]


def compare_answers(
    base: Sequence[MmluAnswer], policy: Sequence[MmluAnswer], *, chance: float, max_drop: float
) -> CapabilityTables:
    """Both models question by question; without the same questions a reason and no number."""
    mismatch = find_mismatch(base, policy)
    metrics: dict[str, object] = {"same_questions": mismatch is None, "config_sha256": base[0].config_sha256}
    if mismatch is not None:
        return CapabilityTables(metrics | {"reason": mismatch}, [], [])
    pairs = pair_answers(base, policy)
    subjects = [
        SubjectRow(
            row.subject,
            row.category,
            row.n,
            row.n_base_correct / row.n,
            row.n_policy_correct / row.n,
            row.n_worse,
            row.n_better,
            row.drop,
            row.p_holm,
        )
        for row in drop_by_subject(pairs)
    ]
    categories = [
        CategoryRow(
            row.category,
            row.n,
            row.base_acc,
            row.policy_acc,
            row.drop.value,
            row.drop.low_one_sided,
            row.drop.high_one_sided,
        )
        for row in drop_by_category(pairs)
    ]
    return CapabilityTables(
        metrics | dict(summarise(pairs, chance=chance, max_drop=max_drop)), subjects, categories
    )
