"""`python -m stages.mmlu base|policy`: right or wrong, per question.

Reads a model and the MMLU questions, writes data/mmlu/<model>.jsonl: for every question the
log-probs of its options and whether the model's choice is right. Decides which questions are asked.
"""

import sys

from stages.files.hashing import hash_settings
from stages.files.io import write_jsonl
from stages.inference.mmlu.asking import choose_questions, describe_config, make_answers, read_questions
from stages.run import paths, processes
from stages.run.params import load_params
from stages.run.shell import model_argument, run_stage


def main() -> None:
    """Ask one model the questions that `params.yaml` chooses."""
    model_name = model_argument(sys.argv)
    params = load_params()
    questions = choose_questions(read_questions(paths.QUESTIONS, paths.EXAMPLES), params)
    processes.start_scoring(params, module="stages.mmlu")

    from stages.inference.mmlu.lm_eval import score_questions, wrap_model
    from stages.model.checkpoint import describe_rendering, for_short_texts, load_model, load_tokenizer

    tokenizer = load_tokenizer(paths.BASE_MODEL)
    policy = paths.POLICY_MODEL if model_name == "policy" else None
    model = load_model(paths.BASE_MODEL, policy, for_short_texts(params.runtime, stage="mmlu"))
    scores = score_questions(
        wrap_model(model, tokenizer, max_batch_tokens=params.mmlu.max_batch_tokens),
        questions,
        scoring=params.mmlu.scoring,
        num_fewshot=params.mmlu.num_fewshot,
        apply_chat_template=params.mmlu.apply_chat_template,
    )
    config_sha256 = hash_settings(describe_config(params, questions, rendering=describe_rendering(tokenizer)))
    answers = make_answers(questions.items, scores, config_sha256)
    if processes.is_main_process():
        write_jsonl(paths.mmlu_answers(model_name), answers)


if __name__ == "__main__":
    run_stage(main)
