"""Which texts the founder is shown: chosen by a rule that was fixed before anyone read them."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from stages.files.csv_cells import read_table
from stages.files.hashing import hex_digest
from stages.files.json_text import as_written
from stages.study.items import BlindItem

N_EXCERPTS = 3
BY_LOT = "A fixed rule chose these texts at random, before anyone had read them."
UNNAMED = "Which model wrote which text stays secret until our editors have judged."
UNUSABLE = "The judging cannot be used, so which model wrote which text is not told."
BY_SCORE = (
    "A fixed rule chose these texts: the task on which the new model won most clearly, the one on which "
    "it lost most clearly, and the one nearest to the middle. Of equal ones one is drawn at random."
)


class Excerpt(NamedTuple):
    """One task with both texts, in the order shown; the models are named only after the study."""

    why: str
    prompt: str
    first_model: str
    first_text: str
    second_model: str
    second_text: str


class Excerpts(NamedTuple):
    """The texts to show and the rule that chose them, in words."""

    rule: str
    shown: list[Excerpt]


def parse_scores(text: str) -> dict[str, Fraction]:
    """Each prompt's mean score (1 the policy won, 0 it lost) from data/winrate/prompts.csv.

    ValueError where the table is not what `winrate` writes.
    """
    scores = {}
    for row in read_table(text, ["prompt_id", "score"]):
        score = float(row["score"])
        if not 0 <= score <= 1:  # NaN is not, either
            raise ValueError(f"prompt {row['prompt_id']} has the score {score}")
        scores[row["prompt_id"]] = as_written(score)
    return scores


def choose_excerpts(
    items: Sequence[BlindItem], scores: Mapping[str, Fraction], *, is_judged: bool = False
) -> Excerpts:
    """By the editors' scores where there are any, else by the hash of the prompt.

    Before the study is over the texts' order is drawn from the hash and no model is named, so that
    the page cannot unblind an editor who sees it. `is_judged` where it is over and its scores cannot be used.
    """
    shown = sorted((item for item in items if item.status == "shown"), key=_lot)
    judged = [item for item in shown if item.prompt_id in scores]
    if not judged:
        return Excerpts(
            f"{BY_LOT} {UNUSABLE if is_judged else UNNAMED}", [_unnamed(item) for item in shown[:N_EXCERPTS]]
        )
    chosen: dict[str, BlindItem] = {}
    middle = sorted(scores.values())[len(scores) // 2]
    rules = {
        "A clear win": lambda item: -scores[item.prompt_id],
        "A clear loss": lambda item: scores[item.prompt_id],
        "A typical case": lambda item: abs(scores[item.prompt_id] - middle),
    }
    for why, distance in rules.items():
        left = [item for item in judged if item not in chosen.values()]
        if left:
            chosen[why] = min(left, key=distance)
    return Excerpts(BY_SCORE, [_named(item, why) for why, item in chosen.items()])


def _lot(item: BlindItem) -> str:
    return hex_digest("excerpt", item.prompt)


def _named(item: BlindItem, why: str) -> Excerpt:
    return Excerpt(
        why, item.prompt, "Starting model", item.base_completion, "New model", item.policy_completion
    )


def _unnamed(item: BlindItem) -> Excerpt:
    first, second = sorted(
        (item.base_completion, item.policy_completion),
        key=lambda text: hex_digest("excerpt order", item.prompt, text),
    )
    return Excerpt("A task drawn at random", item.prompt, "One model", first, "The other model", second)
