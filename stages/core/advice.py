"""What no test covered, what could go wrong, and what to do next."""

from stages.core.findings import State
from stages.core.scope import Scope
from stages.core.verdicts import GateName
from stages.core.wording import count, in_words, plural, sentence


def list_untested(scope: Scope) -> list[str]:
    """Claims that this page does not make."""
    return [
        "If a text that our editors like wins a grant. Liking is not funding.",
        "If what the texts say is true. No one checked the facts.",
        f"What other people would like. These are {in_words(scope.n_editors)} of our own editors.",
        f"Long texts. Each text stops after about {count(scope.max_new_tokens)} word parts.",
        "Other kinds of writing, other languages, and safety.",
    ]


def list_risks(scope: Scope) -> list[str]:
    """Ways in which a good result could still mislead."""
    return [
        f"{sentence(in_words(scope.n_editors))} editors can share one taste, and the model learned from it.",
        f"The blind test has {plural(scope.n_prompts, 'task')}. A few hard or easy ones can move the result.",
        "If many versions are tried on the same tests, the best one looks better than it is.",
        "The model may have learned habits, such as length, that stand in for good writing.",
    ]


def advise(states: dict[GateName, State], overall: State, scope: Scope) -> list[str]:
    """What to do next, and what it costs in judgements; the first matching case."""
    if overall == "invalid":
        return [
            "Mend the check that went wrong, then run the tests again.",
            "It costs computer time only. Until then, no number here should be used.",
        ]
    if overall == "fail":
        return [
            "Keep the starting model. Try another version, and choose it on the practice pairs.",
            "Do not choose by the tests on this page, or they wear out.",
        ]
    if scope.is_synthetic:
        return [
            "Put in your own pairs and your own writing tasks, and run all of it again.",
            "Nothing on this page says how that will turn out.",
        ]
    if states["winrate"] == "pending":
        return [
            judging_cost(scope),
            "Set a day for the last ballot before the pages go out. The answer is ready that day.",
        ]
    if overall == "pending":
        return ["Run the tests in full. It costs computer time only.", "Then read this page again."]
    if overall == "inconclusive":
        return [
            "Do not release yet. The tests were too small, or the gain is too small, to tell.",
            f"A second blind test with new tasks can settle it. {judging_cost(scope)}",
        ]
    return [
        "Release the new model, and keep the starting model at hand.",
        "Repeat the blind test with new tasks once the model has been in use. " + judging_cost(scope),
    ]


def judging_cost(scope: Scope) -> str:
    """A study's cost in judgements."""
    n_all = count(scope.n_editors * scope.n_views)
    return (
        f"{sentence(in_words(scope.n_editors))} editors judge {plural(scope.n_views, 'pair')} of texts each, "
        f"{n_all} in all."
    )
