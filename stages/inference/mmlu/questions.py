"""MMLU: question and answer rows, the 57 subjects, a sample by seed, the configuration hash."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, NamedTuple

from pydantic import Field, model_validator

from stages.files.hashing import hex_digest
from stages.files.record import Record

N_OPTIONS = 4
LETTERS = "ABCD"
N_ID_DIGITS = 16  # hex digits: 64 bits for 14,042 questions

# The four categories of the MMLU paper, as lm-eval tags its tasks (tasks/mmlu/default/*.yaml).
CATEGORY_SUBJECTS = {
    "stem": (
        "abstract_algebra anatomy astronomy college_biology college_chemistry college_computer_science "
        "college_mathematics college_physics computer_security conceptual_physics electrical_engineering "
        "elementary_mathematics high_school_biology high_school_chemistry high_school_computer_science "
        "high_school_mathematics high_school_physics high_school_statistics machine_learning"
    ),
    "humanities": (
        "formal_logic high_school_european_history high_school_us_history high_school_world_history "
        "international_law jurisprudence logical_fallacies moral_disputes moral_scenarios philosophy "
        "prehistory professional_law world_religions"
    ),
    "social_sciences": (
        "econometrics high_school_geography high_school_government_and_politics "
        "high_school_macroeconomics high_school_microeconomics high_school_psychology human_sexuality "
        "professional_psychology public_relations security_studies sociology us_foreign_policy"
    ),
    "other": (
        "business_ethics clinical_knowledge college_medicine global_facts human_aging management "
        "marketing medical_genetics miscellaneous nutrition professional_accounting professional_medicine "
        "virology"
    ),
}
CATEGORY_OF = {
    subject: category for category, subjects in CATEGORY_SUBJECTS.items() for subject in subjects.split()
}


class MmluQuestion(Record):
    """One question with its four options and the index of the right one."""

    question_id: str
    subject: str
    question: str
    choices: Annotated[list[str], Field(min_length=N_OPTIONS, max_length=N_OPTIONS)]
    gold: Annotated[int, Field(ge=0, lt=N_OPTIONS)]


class MmluAnswer(Record):
    """One model's answer to one question: the options' log-probs in nats, and right or wrong."""

    question_id: str
    subject: str
    category: str
    gold: Annotated[int, Field(ge=0, lt=N_OPTIONS)]
    logprobs: Annotated[list[float], Field(min_length=N_OPTIONS, max_length=N_OPTIONS)]
    predicted: Annotated[int, Field(ge=0, lt=N_OPTIONS)]
    correct: bool
    config_sha256: str

    @model_validator(mode="after")
    def correct_says_what_was_predicted(self) -> "MmluAnswer":
        """A row that contradicts itself was not written by `mmlu`."""
        if self.logprobs[self.predicted] != max(self.logprobs):
            raise ValueError(f"predicted {self.predicted} has not the highest of {self.logprobs}")
        if self.correct != (self.predicted == self.gold):
            raise ValueError(f"predicted {self.predicted}, gold {self.gold}, correct {self.correct}")
        return self


class QuestionSet(NamedTuple):
    """What a source offers: questions to ask, and per subject solved examples in their order."""

    items: list[MmluQuestion]
    examples: dict[str, list[MmluQuestion]]


def identify(subject: str, question: str, choices: Sequence[str], gold: int) -> str:
    """The id of a question is made of its texts, so equal ids mean the same question."""
    return f"{subject}-{hex_digest(subject, question, *choices, str(gold))[:N_ID_DIGITS]}"


def make_questions(rows: Iterable[tuple[str, str, Sequence[str], int]]) -> list[MmluQuestion]:
    """Give each row (subject, question, choices, gold) its id; a repeat gets `-2`, `-3` at its end."""
    seen: Counter[str] = Counter()
    questions = []
    for subject, question, choices, gold in rows:
        name = identify(subject, question, choices, gold)
        seen[name] += 1
        questions.append(
            MmluQuestion(
                question_id=name if seen[name] == 1 else f"{name}-{seen[name]}",
                subject=subject,
                question=question,
                choices=list(choices),
                gold=gold,
            )
        )
    return questions


def sample_questions(questions: Sequence[MmluQuestion], *, n: int, seed: int) -> list[MmluQuestion]:
    """Take `n` questions, each subject in proportion to its size, in an order drawn from `seed`.

    Within a subject the order is a salted hash of the ids; the question of rank r among m has
    the place (r + 1/2) / m, and the n smallest places are taken. That is the divisor method of
    Sainte-Lague (1910): a larger `n` only adds questions. Returned in order of their ids.
    Raises ValueError where there are fewer than `n`.
    """
    if n > len(questions):
        raise ValueError(f"{n} questions are wanted, {len(questions)} are there")
    by_subject: dict[str, list[MmluQuestion]] = {}
    for item in questions:
        by_subject.setdefault(item.subject, []).append(item)
    places: list[tuple[float, str, MmluQuestion]] = []
    for members in by_subject.values():
        keyed = [(hex_digest("mmlu", str(seed), item.question_id), item) for item in members]
        keyed.sort(key=lambda pair: pair[0])
        places += [((rank + 0.5) / len(keyed), key, item) for rank, (key, item) in enumerate(keyed)]
    places.sort(key=lambda place: place[:2])
    return sorted((item for _, _, item in places[:n]), key=lambda item: item.question_id)


def leave_out_asked(
    examples: Mapping[str, Sequence[MmluQuestion]], items: Sequence[MmluQuestion]
) -> dict[str, list[MmluQuestion]]:
    """The examples without those that are asked too: no question is shown with its own answer."""
    asked = {_content(item) for item in items}
    return {
        subject: [shown for shown in all_shown if _content(shown) not in asked]
        for subject, all_shown in examples.items()
    }


def _content(item: MmluQuestion) -> tuple[str, tuple[str, ...]]:
    return " ".join(item.question.split()), tuple(sorted(item.choices))


def find_mismatch(base: Sequence[MmluAnswer], policy: Sequence[MmluAnswer]) -> str | None:
    """Why the two models cannot be compared question by question, or None where they can."""
    base_ids, policy_ids = ({one.question_id for one in answers} for answers in (base, policy))
    if base_ids != policy_ids:
        return (
            f"the models answered different questions: {len(base_ids - policy_ids)} only the base, "
            f"{len(policy_ids - base_ids)} only the policy, {len(base_ids & policy_ids)} both"
        )
    if base[0].config_sha256 != policy[0].config_sha256:
        return "the models were asked under different configurations"
    facts = {one.question_id: (one.gold, one.subject, one.category) for one in base}
    if any(facts[one.question_id] != (one.gold, one.subject, one.category) for one in policy):
        return "a question has another right answer or subject in the one file than in the other"
    return None
