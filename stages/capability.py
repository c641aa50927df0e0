"""Stage `capability`: the paired drop of general capability and its bound.

Reads `data/mmlu/{base,policy}.jsonl`; writes `metrics/capability.json` and tables for `dvc plots` in
`data/capability/`. Where the answers may not be compared, it records `same_questions: false` and no number.
"""

from stages.errors import InputError
from stages.files.io import read_jsonl, write_csv, write_json
from stages.inference.mmlu.questions import MmluAnswer
from stages.measures.capability import AnswerError, refuse_contradictions
from stages.measures.capability_tables import CategoryRow, SubjectRow, compare_answers
from stages.run import paths
from stages.run.params import load_params
from stages.run.shell import run_stage


def main() -> None:
    """Compare the two models' answers, question by question."""
    limits = load_params().limits.capability
    base, policy = read_answers("base"), read_answers("policy")

    found = compare_answers(base, policy, chance=limits.chance, max_drop=limits.max_drop)

    write_json(paths.CAPABILITY_METRICS, {"capability": found.metrics})
    write_csv(paths.CAPABILITY_PLOTS / "by_subject.csv", SubjectRow._fields, found.subjects)
    write_csv(paths.CAPABILITY_PLOTS / "by_category.csv", CategoryRow._fields, found.categories)


def read_answers(model: str) -> list[MmluAnswer]:
    """One model's answers; InputError where the file is broken or contradicts itself."""
    path = paths.mmlu_answers(model)
    answers = read_jsonl(path, MmluAnswer)
    try:
        refuse_contradictions(answers)
    except AnswerError as error:
        raise InputError(f"{path}: {error}") from error
    return answers


if __name__ == "__main__":
    run_stage(main)
