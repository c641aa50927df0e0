"""Stage `questions`: all MMLU questions of one source, with the solved examples that may be shown.

Reads what `mmlu.source` names; writes data/questions/. After it no stage needs a network for them.
"""

from stages.files.io import write_jsonl
from stages.inference.mmlu.asking import load_questions
from stages.run import paths
from stages.run.params import load_params
from stages.run.shell import run_stage


def main() -> None:
    """Write the questions and the examples of all subjects."""
    params = load_params()
    questions = load_questions(
        params.mmlu.source,
        csv_dir=params.mmlu.csv_dir,
        repo_id=params.mmlu.repo_id,
        revision=params.mmlu.revision,
        num_fewshot=params.mmlu.num_fewshot,
    )
    write_jsonl(paths.QUESTIONS, questions.items)
    write_jsonl(paths.EXAMPLES, [one for shown in questions.examples.values() for one in shown])


if __name__ == "__main__":
    run_stage(main)
