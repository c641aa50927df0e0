"""Paired drop of general capability and its bound.

Reads data/mmlu/{base,policy}.jsonl, writes metrics/capability.json and the tables that
`dvc plots` draws. Decides whether the two models' answers may be compared at all; if not, it
records `same_questions: false` and no number.
"""

from stages.errors import InputError
from stages.files.io import read_jsonl, write_csv, write_json
from stages.inference.mmlu.questions import MmluAnswer
from stages.measures.capability import (
    AnswerError,
    Pair,
    drop_by_category,
    drop_by_subject,
    find_mismatch,
    pair_answers,
    refuse_contradictions,
    summarise,
)
from stages.run import paths
from stages.run.params import load_params
from stages.run.shell import run_stage

SUBJECTS_CSV = paths.CAPABILITY_PLOTS / "by_subject.csv"
CATEGORIES_CSV = paths.CAPABILITY_PLOTS / "by_category.csv"
SUBJECT_COLUMNS = [
    "subject",
    "category",
    "n",
    "base_acc",
    "policy_acc",
    "n_worse",
    "n_better",
    "drop",
    "p_holm",
]
CATEGORY_COLUMNS = ["category", "n", "base_acc", "policy_acc", "drop", "low", "high"]


def main() -> None:
    """Compare the two models' answers, question by question."""
    limits = load_params().limits.capability
    base, policy = read_answers("base"), read_answers("policy")

    mismatch = find_mismatch(base, policy)
    pairs = pair_answers(base, policy) if mismatch is None else []
    metrics: dict[str, object] = {"same_questions": mismatch is None, "config_sha256": base[0].config_sha256}
    if mismatch is None:
        metrics |= summarise(pairs, chance=limits.chance, max_drop=limits.max_drop)
    else:
        metrics["reason"] = mismatch

    write_json(paths.CAPABILITY_METRICS, {"capability": metrics})
    write_tables(pairs)


def read_answers(model: str) -> list[MmluAnswer]:
    """One model's answers; InputError where the file is broken or contradicts itself."""
    path = paths.mmlu_answers(model)
    answers = read_jsonl(path, MmluAnswer)
    try:
        refuse_contradictions(answers)
    except AnswerError as error:
        raise InputError(f"{path}: {error}") from error
    return answers


def write_tables(pairs: list[Pair]) -> None:
    """The plots' tables; without pairs they have their header alone."""
    subjects = drop_by_subject(pairs) if pairs else []
    write_csv(
        SUBJECTS_CSV,
        SUBJECT_COLUMNS,
        (
            [
                row.subject,
                row.category,
                row.n,
                row.n_base_correct / row.n,
                row.n_policy_correct / row.n,
                row.n_worse,
                row.n_better,
                row.drop,
                row.p_holm,
            ]
            for row in subjects
        ),
    )
    categories = (
        [
            row.category,
            row.n,
            row.base_acc,
            row.policy_acc,
            row.drop.value,
            row.drop.low_one_sided,
            row.drop.high_one_sided,
        ]
        for row in drop_by_category(pairs)
    )
    write_csv(CATEGORIES_CSV, CATEGORY_COLUMNS, categories)


if __name__ == "__main__":
    run_stage(main)
