"""The synthetic sample corpus: pairs judged by invented editors whose tastes, so whose ceiling, are known.

Each draft is good or bad along each dimension, drawn independently. An editor prefers draft A with
probability 1 / (1 + exp(-(utility A - utility B))): a Bradley-Terry judge. The best any model can
reach is the mean of max(p, 1 - p) over the pairs: the Bayes ceiling.
"""

import math
from typing import Any, NamedTuple

from stages.data.texts import count_words, normalise
from stages.files.hashing import uniform
from stages.files.pairs import PreferencePair, Prompt
from stages.sample.sections import SECTIONS
from stages.sample.text import (
    CARRIED_ANYWHERE,
    DIMENSIONS,
    Levels,
    Plan,
    write_paragraph,
)
from stages.sample.world import Application, invent_applications, pick, whole

N_PAIRS = 2500
N_APPLICATIONS = 420
N_FRESH = 50
EDITORS = ("editor-1", "editor-2", "editor-3", "editor-4", "editor-5", "editor-6")

# Nats of log-odds of an average editor. A bag of words sees the first six dimensions, so the last
# three, which need the prompt or arithmetic, carry enough to keep such a model well below the ceiling.
WEIGHTS = {
    "specific_numbers": 1.6,
    "plain_words": 1.4,
    "active_voice": 1.2,
    "no_hedging": 1.4,
    "no_cliches": 1.2,
    "named_outcome": 1.6,
    "fits_the_funder": 1.8,
    "budget_adds_up": 1.6,
    "agrees_with_the_brief": 1.6,
}
N_WORDS_OF_ONE = 13
MIN_WORDS, MAX_WORDS = 30, 90
N_ATTEMPTS = 500
TASTE = 0.4  # an editor's weight lies within this share of the average


class Sample(NamedTuple):
    """All that `data/sample/` holds."""

    pairs: list[PreferencePair]
    prompts: list[Prompt]
    truth: dict[str, Any]


class JudgedPair(NamedTuple):
    """A pair with what is only known because it is invented."""

    pair: PreferencePair
    chosen: Levels
    rejected: Levels
    p_chosen: float


def make_sample() -> Sample:
    """The whole corpus; there is nothing to choose, so it is always the same."""
    applications = invent_applications(N_APPLICATIONS + N_FRESH)
    owners: dict[str, str] = {}
    judged = [make_pair(number, applications[:N_APPLICATIONS], owners) for number in range(N_PAIRS)]
    fresh = [
        Prompt(
            prompt_id=f"fresh-{number:02d}",
            prompt=write_prompt(application, pick(list(SECTIONS), application.application_id, "fresh")),
            synthetic=True,
        )
        for number, application in enumerate(applications[N_APPLICATIONS:], start=1)
    ]
    return Sample([row.pair for row in judged], fresh, describe_truth(judged))


def write_prompt(application: Application, section: str) -> str:
    """The brief from which both drafts were written."""
    a = application
    return (
        f"Write the paragraph “{section}” of a grant application. Applicant: {a.organisation}, for "
        f"{a.theme.project}. Funder: {a.funder}, which stands for {a.aim}. Brief: {a.n_people} {a.people}, "
        f"{a.n_months} months, {a.n_units} times one {a.theme.unit} at £{a.price}."
    )


def make_pair(number: int, applications: list[Application], owners: dict[str, str]) -> JudgedPair:
    """Pair `number`: two drafts of one section of one application, judged by one editor.

    `owners` says which application has used each run of words, and grows.
    """
    pair_id = f"sample-{number + 1:04d}"
    round_, place = divmod(number, len(applications))
    application = applications[place]
    sections = sorted(SECTIONS, key=lambda section: uniform("sample", application.application_id, section))
    section = sections[round_]
    plan = _plan(pair_id, section)
    levels = [{name: bool(whole(0, 1, pair_id, side, name)) for name in DIMENSIONS} for side in "ab"]
    lengths = _lengths(pair_id, plan)
    texts = [
        write_freely(application, plan, own, n_words, owners, name=f"{pair_id}/{side}")
        for side, own, n_words in zip("ab", levels, lengths, strict=True)
    ]
    editor = pick(EDITORS, pair_id, "editor")
    difference = utility(levels[0], plan, editor) - utility(levels[1], plan, editor)
    p_first = 1 / (1 + math.exp(-difference))
    chosen = 0 if uniform("sample", pair_id, "label") < p_first else 1
    pair = PreferencePair(
        pair_id=pair_id,
        prompt=write_prompt(application, section),
        chosen=texts[chosen],
        rejected=texts[1 - chosen],
        editor=editor,
        group_id=application.application_id,
        section=section,
        reviewed_at=f"2025-{whole(1, 12, pair_id, 'month'):02d}-{whole(1, 28, pair_id, 'day'):02d}",
        chosen_shown=pick(("left", "right"), pair_id, "shown"),
        synthetic=True,
    )
    return JudgedPair(pair, levels[chosen], levels[1 - chosen], p_first if chosen == 0 else 1 - p_first)


def write_freely(
    application: Application, plan: Plan, levels: Levels, n_words: int, owners: dict[str, str], *, name: str
) -> str:
    """A paragraph that shares no run of `N_WORDS_OF_ONE` words with another application's.

    Otherwise the split would, rightly, keep the two applications on one side.
    """
    for attempt in range(N_ATTEMPTS):
        text = write_paragraph(application, plan, levels, n_words, name=f"{name}/{attempt}")
        words = normalise(text).split()
        runs = {" ".join(words[n : n + N_WORDS_OF_ONE]) for n in range(len(words) - N_WORDS_OF_ONE + 1)}
        mine = application.application_id
        is_free = all(owners.get(run, mine) == mine for run in runs)
        if is_free and MIN_WORDS <= count_words(text) <= MAX_WORDS:
            owners.update(dict.fromkeys(runs, mine))
            return text
    raise ValueError(f"{name}: no wording in {N_ATTEMPTS} attempts that no other application has used")


def editor_weight(editor: str, dimension: str) -> float:
    """An editor's own weight of a dimension, in nats."""
    return WEIGHTS[dimension] * (1 + TASTE * (2 * uniform("sample", "taste", editor, dimension) - 1))


def utility(levels: Levels, plan: Plan, editor: str) -> float:
    """What a draft is worth to an editor, in nats; a dimension not carried is worth nothing."""
    carried = [name for name in DIMENSIONS if name not in CARRIED_ANYWHERE or name in plan.carries]
    return sum(editor_weight(editor, name) for name in carried if levels[name])


def describe_truth(judged: list[JudgedPair]) -> dict[str, Any]:
    """What the labels were drawn from, for whoever wants to know how good a model could be."""
    return {
        "synthetic": True,
        "n_pairs": len(judged),
        "bayes_ceiling": round(
            math.fsum(max(row.p_chosen, 1 - row.p_chosen) for row in judged) / len(judged), 6
        ),
        "n_labels_as_the_best_model_would": sum(row.p_chosen > 0.5 for row in judged),
        "weights": WEIGHTS,
        "editors": {
            editor: {name: round(editor_weight(editor, name), 6) for name in DIMENSIONS} for editor in EDITORS
        },
        "pairs": {
            row.pair.pair_id: {
                "p_chosen": round(row.p_chosen, 6),
                "chosen": [name for name in DIMENSIONS if row.chosen[name]],
                "rejected": [name for name in DIMENSIONS if row.rejected[name]],
            }
            for row in judged
        },
    }


def _lengths(pair_id: str, plan: Plan) -> list[int]:
    """Words of both drafts: room for what the plan asks for, and a jitter that hides what is left."""
    n_asked = 20 * plan.n_clauses + 16 * len(plan.carries) + 10 * plan.n_cliches
    target = whole(n_asked + 2, n_asked + 16, pair_id, "target")
    return [target + whole(-8, 8, pair_id, side, "length") for side in "ab"]


def _plan(pair_id: str, section: str) -> Plan:
    """One clause of the section, one or two sentences of what any section may carry, one cliché or its like.

    Short on purpose: two drafts and their prompt are about 250 tokens, as real revisions are.
    """
    carries = sorted(CARRIED_ANYWHERE, key=lambda name: uniform("sample", pair_id, "carries", name))
    if section == "Budget":
        carries.sort(key=lambda name: name != "budget_adds_up")
    return Plan(section, frozenset(carries[: whole(1, 2, pair_id, "n carries")]), n_clauses=1, n_cliches=1)
