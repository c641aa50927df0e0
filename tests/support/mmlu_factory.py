"""Questions and answers to them, with defaults."""

from stages.inference.mmlu.questions import CATEGORY_OF, MmluAnswer, MmluQuestion, make_questions


def make_question(text: str = "Which is a colour?", **changes: object) -> MmluQuestion:
    row: dict[str, object] = {
        "subject": "anatomy",
        "choices": ["red", "two", "run", "and"],
        "gold": 0,
    } | changes
    subject, choices, gold = row["subject"], row["choices"], row["gold"]
    return make_questions([(subject, text, choices, gold)])[0]  # type: ignore[list-item]


def make_answer(
    name: str = "q1",
    *,
    correct: bool = True,
    subject: str = "anatomy",
    config_sha256: str = "c",
    gold: int = 1,
) -> MmluAnswer:
    predicted = gold if correct else (gold + 1) % 4
    return MmluAnswer(
        question_id=name,
        subject=subject,
        category=CATEGORY_OF[subject],
        gold=gold,
        logprobs=[-1.0 if place == predicted else -2.0 for place in range(4)],
        predicted=predicted,
        correct=correct,
        config_sha256=config_sha256,
    )
