"""Did general capability drop? Paired on the same questions, with bounds that admit doubt.

B counts the questions that the base has right and the policy wrong, C the reverse; the drop is
D = (B - C) / n, positive is worse. Its bounds are those of every paired difference
(`measures/paired.py`), with a subject's questions as a cluster.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from stages.inference.mmlu.questions import MmluAnswer
from stages.measures.intervals import MIN_CLUSTERS, effective_clusters, wilson_interval
from stages.measures.paired import ONE_SIDED, PairedDifference, paired_difference


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


def pair_answers(base: Sequence[MmluAnswer], policy: Sequence[MmluAnswer]) -> list[Pair]:
    """Both models' answers to each question; `find_mismatch` must have found none."""
    policy_correct = {one.question_id: one.correct for one in policy}
    return [
        Pair(one.subject, one.category, one.correct, policy_correct[one.question_id])
        for one in sorted(base, key=lambda one: one.question_id)
    ]


N_WORST = 5


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
    drop: PairedDifference


def drop_of(pairs: Sequence[Pair]) -> PairedDifference:
    """The drop of answered questions; those of a subject move together.

    Of (nearly) a single subject it is that subject's own drop, and its questions are independent.
    """
    subjects = [pair.subject for pair in pairs]
    clusters = subjects if pairs and effective_clusters(subjects) >= MIN_CLUSTERS else None
    return paired_difference([pair.worse for pair in pairs], clusters)


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
    base_acc_low = lower_bound(n_base_correct, n)
    return {
        "drop": overall.value,
        "low": overall.low_one_sided,
        "high": overall.high_one_sided,
        "high_two_sided": overall.high,
        "is_clustered": overall.is_clustered,
        "n": n,
        "n_subjects": len(subjects),
        "n_base_correct": n_base_correct,
        "n_policy_correct": n_policy_correct,
        "n_discordant_worse": overall.n_up,
        "n_discordant_better": overall.n_down,
        "discordance": (overall.n_up + overall.n_down) / n,
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
