"""What every gate must know of the data before any number counts."""

from typing import NamedTuple

from stages.decision.evidence import Ceiling, DataEvidence, Problem, SplitEvidence
from stages.decision.wording import count, plural, rounded
from stages.files.json_text import as_written


class DataFacts(NamedTuple):
    """What all gates must know of the data: sentences that forbid use, and where it comes from."""

    problems: tuple[str, ...]
    leaks: tuple[str, ...]
    is_synthetic: bool
    split_sha256: str
    n_holdout: int
    study_id: str | None  # of the present texts; None where there are none to check against
    ceiling: str = ""  # how far a perfect reader could agree with the held-out labels, as a sentence


def gather_data_facts(
    data: DataEvidence | Problem, split: SplitEvidence | Problem, *, n_holdout: int, study_id: str | None
) -> DataFacts:
    """Facts from validate and split.

    `n_holdout` is the number of pairs that must be held out, `study_id` that of the present texts.
    """
    if isinstance(data, Problem) or isinstance(split, Problem):
        broken = tuple(part.sentence for part in (data, split) if isinstance(part, Problem))
        return DataFacts(broken, (), False, "", n_holdout, study_id)
    problems = []
    if not data.ok:
        problems.append("The pairs break a data rule more often than is allowed.")
    if split.n_holdout != n_holdout:
        problems.append(f"The split holds out {plural(split.n_holdout, 'pair')}, not {count(n_holdout)}.")
    leaks = []
    if split.n_overlaps:
        leaks.append(
            f"{plural(split.n_overlaps, 'text')} to learn from also turned up in the tests, "
            "so the model may have seen its own exam."
        )
    is_synthetic = data.is_synthetic or split.is_synthetic
    return DataFacts(
        tuple(problems), tuple(leaks), is_synthetic, split.split_sha256, n_holdout, study_id,
        say_ceiling(split.holdout_ceiling),
    )  # fmt: skip


def say_ceiling(ceiling: Ceiling) -> str:
    """How far a perfect reader could agree with these labels, the range of the agreement included."""
    if ceiling.lowest is None or ceiling.highest is None:
        why = ceiling.reason
        return f"How far even a perfect reader could agree with the editors is unknown: {why}." if why else ""
    low, high = (rounded(100 * as_written(end), places=0) for end in (ceiling.lowest, ceiling.highest))
    return f"Even a perfect reader of our editors could agree with them on {low} to {high} of 100 such pairs."
