"""What was measured, on how much of what there is: the numbers that the page and the card tell."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from stages.decision.evidence import (
    AccuracyEvidence,
    CapabilityEvidence,
    Count,
    DataEvidence,
    Document,
    Evidence,
    ReviewPeriod,
    SplitEvidence,
    WinrateEvidence,
    WinrateStatus,
    parse_accuracy,
    parse_capability,
    parse_evidence,
    parse_winrate,
)
from stages.run.params import Params, at_most


class Measures(NamedTuple):
    """The measured gates; None where there is no number."""

    accuracy: AccuracyEvidence | None
    winrate: WinrateEvidence | None
    capability: CapabilityEvidence | None


class StudySize(Evidence):
    """What metrics/winrate.json says of the texts, in the study's part and in a rehearsal's alike."""

    n_prompts: Count | None = None
    n_shown: Count | None = None


class Coverage(NamedTuple):
    """How much was done, of how much there is; and whether any of it is made up."""

    n_trained: int
    n_train: int
    n_holdout_scored: int
    n_holdout: int
    n_questions: int
    min_questions: int
    n_prompts: int
    n_editors: int
    n_tasks_planned: int  # of a new study
    n_tasks_shown: (
        int  # of the study of these texts, which leaves out equal texts and those that give a model away
    )
    n_checks: int  # pairs of texts shown to each editor on top: repeats and plain cases
    minutes_per_view: float
    max_new_tokens: int
    is_synthetic: bool
    split_sha256: str
    period: ReviewPeriod | None  # None where no pair tells its day


def gather_measures(documents: Mapping[str, Document]) -> Measures:
    """The numbers that can be believed; a broken or missing file gives none."""
    accuracy = parse_accuracy(documents["accuracy"])
    winrate = parse_winrate(documents["winrate"])
    capability = parse_capability(documents["capability"])
    return Measures(
        accuracy=accuracy if isinstance(accuracy, AccuracyEvidence) else None,
        winrate=winrate if isinstance(winrate, WinrateEvidence) else None,
        capability=capability if isinstance(capability, CapabilityEvidence) else None,
    )


def gather_coverage(
    documents: Mapping[str, Document], measures: Measures, params: Params, *, synthetic_items: Iterable[bool]
) -> Coverage:
    """How much of the data was used; made up is what any file calls so."""
    data = parse_evidence(documents["validate"], "validate", DataEvidence)
    split = parse_evidence(documents["split"], "split", SplitEvidence)
    winrate = parse_winrate(documents["winrate"])
    n_train = split.n_train if isinstance(split, SplitEvidence) else 0
    study, n_prompts = params.study, params.generate.n_prompts
    size = read_study_size(documents["winrate"])
    is_synthetic = (
        any(synthetic_items)
        or (isinstance(data, DataEvidence) and data.is_synthetic)
        or (isinstance(split, SplitEvidence) and split.is_synthetic)
        or (isinstance(winrate, WinrateStatus) and winrate.n_synthetic > 0)
        or (measures.accuracy is not None and measures.accuracy.n_synthetic > 0)
    )
    return Coverage(
        n_trained=at_most(params.train.n_pairs, at_most(params.size.n_train, n_train)),
        n_train=n_train,
        n_holdout_scored=measures.accuracy.n if measures.accuracy else 0,
        n_holdout=params.split.n_holdout,
        n_questions=measures.capability.n if measures.capability else 0,
        min_questions=params.limits.capability.min_questions,
        n_prompts=size.n_prompts or n_prompts,
        n_editors=len(study.editors),
        n_tasks_planned=n_prompts,
        # The numbers of a second look hold the first look's tasks, too; no look has more than were planned.
        n_tasks_shown=min(n_prompts if size.n_shown is None else size.n_shown, n_prompts),
        n_checks=study.n_repeats + study.n_anchors,
        minutes_per_view=study.plan.minutes_per_screen,
        max_new_tokens=params.generate.max_new_tokens,
        is_synthetic=is_synthetic,
        split_sha256=split.split_sha256 if isinstance(split, SplitEvidence) else "unknown",
        period=read_period(documents["validate"]),
    )


def read_study_size(document: Document) -> StudySize:
    """How many tasks the study has; a rehearsal has those of the study that it rehearses."""
    section = "winrate" if isinstance(document, Mapping) and "winrate" in document else "rehearsal"
    size = parse_evidence(document, section, StudySize)
    return size if isinstance(size, StudySize) else StudySize()


def read_period(document: Document) -> ReviewPeriod | None:
    """When the pairs were reviewed, or None where that is not known."""
    data = document.get("validate") if isinstance(document, Mapping) else None
    period = parse_evidence(data, "audit", ReviewPeriod) if isinstance(data, Mapping) else None
    return period if isinstance(period, ReviewPeriod) else None


def study_words(documents: Mapping[str, Document]) -> str:
    """The reason that the study itself gives for having no result, or nothing."""
    winrate = parse_winrate(documents["winrate"])
    if not isinstance(winrate, WinrateStatus) or winrate.status == "complete":
        return ""
    return winrate.reason or ""


def study_of(documents: Mapping[str, Document]) -> str:
    """The id of the study that the win rate speaks of, or nothing."""
    winrate = parse_winrate(documents["winrate"])
    return (isinstance(winrate, WinrateStatus) and winrate.study_id) or ""
