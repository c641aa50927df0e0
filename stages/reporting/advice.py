"""What no test covered, what could go wrong, and what to do next and at what cost."""

from stages.decision.findings import State
from stages.decision.verdicts import GateName
from stages.decision.wording import count, in_words, plural, rounded, say_day, sentence
from stages.files.json_text import as_written
from stages.reporting.coverage import Coverage
from stages.reporting.outlook import Outlook

MINUTES_IN_HOUR = 60


def list_untested(coverage: Coverage) -> list[str]:
    """Claims that this page does not make."""
    return [
        "Whether a text that our editors like does its work out in the world. Liking is not success.",
        "Whether what the texts say is true. No one checked the facts.",
        f"What other people would like. These are {in_words(coverage.n_editors)} of our own editors.",
        f"Long texts. Each text stops after about {count(coverage.max_new_tokens)} word parts.",
        "Other kinds of writing, other languages, and safety.",
    ]


def list_risks(coverage: Coverage, *, n_looks: int | None) -> list[str]:
    """Ways in which a good result could still mislead; `n_looks` at the set-aside pairs, if counted."""
    editors, tasks = sentence(in_words(coverage.n_editors)), plural(coverage.n_prompts, "task")
    risks = [
        f"{editors} editors can share one taste, and the model learned from it.",
        f"The blind test has {tasks}. A few hard or easy ones can move the result.",
        *([warn_of_choosing(n_looks)] if coverage.n_holdout_scored else []),
        "The model may have learned habits, such as length, that stand in for good writing.",
    ]
    if coverage.period:
        risks.append(f"Taste moves on. The newest pair is from {say_day(coverage.period.reviewed_to)}.")
    return risks


def warn_of_choosing(n_looks: int | None) -> str:
    """How often the set-aside pairs were used, as far as that is known."""
    if n_looks is None:
        return "If many versions are tried on the same tests, the best one looks better than it is."
    if n_looks == 1:
        return "The set-aside pairs have tested this version only. Each more version wears them out a little."
    return (
        f"The set-aside pairs have tested {count(n_looks)} versions so far. "
        "The best of many looks better than it is."
    )


def advise(states: dict[GateName, State], overall: State, coverage: Coverage, outlook: Outlook) -> list[str]:
    """What to do next, and what it costs in hours of editors; the first matching case."""
    if overall == "invalid":
        again = f"Where the ballots cannot be put right, it takes a new blind test. {judging_cost(coverage)}"
        return [
            "Put right the check that went wrong, then run the tests again.",
            again if states["winrate"] == "invalid" else "It costs computer time only.",
        ]
    if overall == "fail":
        return [
            "Keep the starting model. Try another version, and choose it on the practice pairs.",
            "Do not choose by the tests on this page, or they wear out.",
            f"Each version that you want to release needs its own blind test. {judging_cost(coverage)}",
        ]
    if coverage.is_synthetic:
        return [
            "Put in your own pairs and your own writing tasks, and run all of it again.",
            f"Then comes the blind test. {judging_cost(coverage)}",
            "Nothing on this page says how that will turn out.",
        ]
    if states["winrate"] == "pending":
        others = {states["accuracy"], states["capability"]}
        return [
            judging_cost(coverage, n_tasks=coverage.n_tasks_shown),
            *(
                ["Run the other tests in full before then. It costs computer time only."]
                if "pending" in others
                else []
            ),
            "Set a day for the last ballot before the pages go out. The answer is ready that day.",
        ]
    if overall == "pending":
        return ["Run the tests in full. It costs computer time only.", "Then read this page again."]
    if overall == "inconclusive":
        return [
            "Do not release yet. The tests were too small, or the gain is too small, to tell.",
            *settle(states, coverage, outlook),
        ]
    return [
        "Release the new model, and keep the starting model at hand.",
        f"Repeat the blind test with new tasks once the model has been in use. {judging_cost(coverage)}",
        *confirm(states, coverage, outlook),
    ]


def settle(states: dict[GateName, State], coverage: Coverage, outlook: Outlook) -> list[str]:
    """What would settle each gate that is open."""
    lines = []
    if states["winrate"] == "inconclusive":
        lines.append(settling_cost(coverage, outlook))
    if states["accuracy"] == "inconclusive":
        lines.append(collecting_cost(outlook))
    if states["capability"] == "inconclusive":
        lines.append(
            "General knowledge: the questions are used up. Try a version that changes less, or a stronger "
            "starting model. It costs computer time only."
        )
    return lines


def confirm(states: dict[GateName, State], coverage: Coverage, outlook: Outlook) -> list[str]:
    """What would turn a narrow pass of the blind test into a clear one."""
    n_tasks = outlook.n_tasks_to_confirm
    if states["winrate"] != "pass" or n_tasks is None or n_tasks <= coverage.n_tasks_planned:
        return []
    return [
        f"For a clear pass of the blind test four times in five, use {plural(n_tasks, 'new task')}, if the "
        f"share seen so far is the true one. {judging_cost(coverage, n_tasks=n_tasks)}"
    ]


def settling_cost(coverage: Coverage, outlook: Outlook) -> str:
    """What it takes to settle the blind test."""
    if outlook.is_first_of_two_looks:
        return (
            "The blind test was planned with two looks: go on with fresh tasks and the same models. "
            f"{judging_cost(coverage)} It may stay open again."
        )
    if outlook.n_tasks_to_settle is None:
        return "The blind test: more tasks alone will hardly settle it. Try a better version."
    n_tasks = max(outlook.n_tasks_to_settle, coverage.n_tasks_planned)
    return (
        f"A new blind test with {plural(n_tasks, 'new task')} {settles('winrate', outlook)} "
        f"{judging_cost(coverage, n_tasks=n_tasks)} If that is too much, try a better version."
    )


def settles(name: GateName, outlook: Outlook) -> str:
    """How surely, and to what end, more evidence settles a test."""
    end = " Most likely it fails then." if name in outlook.would_fail else ""
    return f"settles it four times in five, if the share seen so far is the true one.{end}"


def judging_cost(coverage: Coverage, *, n_tasks: int | None = None) -> str:
    """A study's cost in judgements and hours; of the planned size, if no other is given."""
    n_views = (coverage.n_tasks_planned if n_tasks is None else n_tasks) + coverage.n_checks
    n_all = coverage.n_editors * n_views
    minutes = as_written(coverage.minutes_per_view)
    each, together = (rounded(n * minutes / MINUTES_IN_HOUR) for n in (n_views, n_all))
    return (
        f"{sentence(in_words(coverage.n_editors))} editors judge {plural(n_views, 'pair')} of texts each, "
        f"{count(n_all)} in all. Planned at {rounded(minutes)} min a pair, that is {each} hours each and "
        f"{together} hours in all."
    )


def collecting_cost(outlook: Outlook) -> str:
    """What it takes to settle the test on set-aside pairs."""
    if outlook.n_pairs_to_settle is None:
        return "Our editors’ taste: more pairs alone will hardly settle it. Try a better version."
    pairs = (
        f"Our editors’ taste: setting aside {plural(outlook.n_pairs_to_settle, 'pair')} that are new to the "
        f"model {settles('accuracy', outlook)}"
    )
    if outlook.n_weeks_for_pairs is None:
        return pairs
    weeks = plural(outlook.n_weeks_for_pairs, "week")
    return f"{pairs} At the pace of the pairs we have, that is {weeks} of work."
