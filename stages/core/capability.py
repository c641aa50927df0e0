"""Did general capability drop? Paired on the same questions, with bounds that admit doubt.

B counts the questions that the base has right and the policy wrong, C the reverse; the drop is
D = (B - C) / n, positive is worse. Its variance is the larger of two: questions independent
(paired binary data: (B + C - (B - C)^2 / n) / n^2), and questions of a subject moving together
(CR1 sandwich, Liang and Zeger 1986; quantiles of t with subjects - 1). Both are taken after
adding 1/2 to B and to C, one discordant question in all, so that agreement on a finite number
of questions never reads as certainty.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm, t
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests

from stages.core.intervals import wilson_interval
from stages.core.paired_answers import Pair

ONE_SIDED = 0.95
TWO_SIDED = 0.975
N_WORST = 5


class Drop(NamedTuple):
    """A drop with its bounds, as shares of questions: one-sided 95 %, and the two-sided upper."""

    drop: float
    low: float
    high: float
    high_two_sided: float
    is_clustered: bool


class SubjectDrop(NamedTuple):
    """One subject's counts, its drop, and Holm's p that it dropped at all (one-sided, exact)."""

    subject: str
    category: str
    n: int
    n_base_correct: int
    n_policy_correct: int
    n_worse: int
    n_better: int
    drop: float
    p_holm: float


class CategoryDrop(NamedTuple):
    """One of the four categories: accuracies and the drop with its bounds."""

    category: str
    n: int
    base_acc: float
    policy_acc: float
    drop: Drop


def measure_drop(worse: NDArray[np.int_], clusters: NDArray[np.int_]) -> Drop:
    """The drop and its bounds from one number a question (1, 0, -1) and its subject's number.

    With one subject there is nothing to cluster by, and questions count as independent.
    """
    n = len(worse)
    if n == 0:
        raise ValueError("a drop needs at least one question")
    drop = float(worse.mean())
    independent = (float(np.abs(worse).sum()) - n * drop**2) / n**2
    n_clusters = len(np.unique(clusters))
    clustered = _cr1_variance(worse, clusters) if n_clusters > 1 else 0.0
    is_clustered = clustered > independent
    error = float(np.sqrt(max(independent, clustered) + 1 / n**2))
    one_sided, two_sided = (
        float(t.ppf(level, n_clusters - 1) if is_clustered else norm.ppf(level))
        for level in (ONE_SIDED, TWO_SIDED)
    )
    return Drop(
        drop=drop,
        low=max(-1.0, drop - one_sided * error),
        high=min(1.0, drop + one_sided * error),
        high_two_sided=min(1.0, drop + two_sided * error),
        is_clustered=is_clustered,
    )


def _cr1_variance(worse: NDArray[np.int_], clusters: NDArray[np.int_]) -> float:
    """Variance of the mean when questions of a cluster move together."""
    model = OLS(worse.astype(float), np.ones(len(worse)))
    return float(model.fit(cov_type="cluster", cov_kwds={"groups": clusters}).cov_params()[0, 0])


def drop_of(pairs: Sequence[Pair]) -> Drop:
    """`measure_drop` of answered questions, clustered by subject."""
    number_of = {subject: number for number, subject in enumerate(sorted({pair.subject for pair in pairs}))}
    return measure_drop(
        np.array([pair.worse for pair in pairs], dtype=np.int_),
        np.array([number_of[pair.subject] for pair in pairs], dtype=np.int_),
    )


def drop_by_subject(pairs: Sequence[Pair]) -> list[SubjectDrop]:
    """Every subject, the largest drop first; p-values are Holm's (1979) over all subjects."""
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(pair.subject, []).append(pair)
    rows = [_count_subject(subject, members) for subject, members in groups.items()]
    adjusted = multipletests([row.p_holm for row in rows], method="holm")[1]
    return sorted(
        (row._replace(p_holm=float(p)) for row, p in zip(rows, adjusted, strict=True)),
        key=lambda row: (-row.drop, row.p_holm, row.subject),
    )


def _count_subject(subject: str, members: Sequence[Pair]) -> SubjectDrop:
    n_worse = sum(pair.worse == 1 for pair in members)
    n_better = sum(pair.worse == -1 for pair in members)
    n_discordant = n_worse + n_better
    p = binomtest(n_worse, n_discordant, alternative="greater").pvalue if n_discordant else 1.0
    return SubjectDrop(
        subject=subject,
        category=members[0].category,
        n=len(members),
        n_base_correct=sum(pair.base_correct for pair in members),
        n_policy_correct=sum(pair.policy_correct for pair in members),
        n_worse=n_worse,
        n_better=n_better,
        drop=(n_worse - n_better) / len(members),
        p_holm=float(p),
    )


def drop_by_category(pairs: Sequence[Pair]) -> list[CategoryDrop]:
    """The four categories in the order of their names."""
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(pair.category, []).append(pair)
    return [
        CategoryDrop(
            category=category,
            n=len(members),
            base_acc=sum(pair.base_correct for pair in members) / len(members),
            policy_acc=sum(pair.policy_correct for pair in members) / len(members),
            drop=drop_of(members),
        )
        for category, members in sorted(groups.items())
    ]


def lower_bound(n_correct: int, n: int) -> float:
    """Wilson's lower one-sided 95 % bound of an accuracy."""
    return wilson_interval(n_correct, n, confidence=2 * ONE_SIDED - 1).low


def summarise(pairs: Sequence[Pair], *, chance: float, max_drop: float) -> Mapping[str, object]:
    """Every number of `metrics/capability.json`; shares in [0, 1], positive drops are worse.

    At the floor the base is not clearly above chance + `max_drop`: a drop of the forbidden size
    would end at chance, where it could not be told from guessing.
    """
    overall = drop_of(pairs)
    subjects = drop_by_subject(pairs)
    n = len(pairs)
    n_base_correct = sum(pair.base_correct for pair in pairs)
    n_policy_correct = sum(pair.policy_correct for pair in pairs)
    n_worse = sum(pair.worse == 1 for pair in pairs)
    n_better = sum(pair.worse == -1 for pair in pairs)
    base_acc_low = lower_bound(n_base_correct, n)
    return {
        "drop": overall.drop,
        "low": overall.low,
        "high": overall.high,
        "high_two_sided": overall.high_two_sided,
        "is_clustered": overall.is_clustered,
        "n": n,
        "n_subjects": len(subjects),
        "n_base_correct": n_base_correct,
        "n_policy_correct": n_policy_correct,
        "n_discordant_worse": n_worse,
        "n_discordant_better": n_better,
        "discordance": (n_worse + n_better) / n,
        "macro_drop": sum(row.drop for row in subjects) / len(subjects),
        "base_acc": n_base_correct / n,
        "base_acc_low": base_acc_low,
        "policy_acc": n_policy_correct / n,
        "at_floor": base_acc_low <= chance + max_drop,
        "worst": {
            str(rank): {"subject": row.subject, "drop": row.drop, "n": row.n, "p_holm": row.p_holm}
            for rank, row in enumerate(subjects[:N_WORST], start=1)
            if row.drop > 0
        },
    }
