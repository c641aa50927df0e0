"""What the numbers mean in a hundred cases; every estimate with its range, every share with its count."""

from fractions import Fraction

from stages.decision.evidence import AccuracyEvidence, CapabilityEvidence, WinrateEvidence
from stages.decision.findings import points
from stages.decision.wording import count, in_hundred, percent_of, rounded
from stages.files.json_text import as_written


def winrate_result(measured: WinrateEvidence) -> str:
    """The win rate in 100, and the counts it comes from."""
    share = Fraction(2 * measured.wins + measured.ties, 2 * measured.n)
    counts = (
        f"better {count(measured.wins)} times, equal {count(measured.ties)}, worse {count(measured.losses)}"
    )
    return f"{in_hundred(share)} of 100 ({counts})"


def accuracy_result(measured: AccuracyEvidence) -> str:
    """Held-out pairs on which the model agrees with the editors."""
    return percent_of(measured.k, measured.n, "pairs")


def capability_result(measured: CapabilityEvidence) -> str:
    """The drop in points, and the right answers of both models."""
    before, now = count(measured.n_base_correct), count(measured.n_policy_correct)
    return f"{change(measured)} ({before} of {count(measured.n)} right before, {now} now)"


def share_range(low: float | None, high: float | None) -> str:
    """Both ends of an interval in 100, or that there is none."""
    if low is None or high is None:
        return "cannot be told"
    return f"{in_hundred(as_written(low))} to {in_hundred(as_written(high))} of 100"


def drop_range(low: float, high: float) -> str:
    """Both ends of a drop, in words that tell loss from gain."""
    return f"from {_direction(as_written(low))} to {_direction(as_written(high))}"


def explain_winrate(measured: WinrateEvidence | None) -> str:
    """The blind test as 100 paragraphs."""
    if measured is None:
        return (
            "We cannot say yet in how many of 100 paragraphs our editors would like the new model better. "
            "They have not judged all of them."
        )
    share = Fraction(2 * measured.wins + measured.ties, 2 * measured.n)
    return (
        f"Let both models write 100 paragraphs. Our editors would like the new model’s better in about "
        f"{whole(share)} of them, a tie being half. The true number likely lies between "
        f"{whole(as_written(measured.low))} and {whole(as_written(measured.high))}."
    )


def explain_accuracy(measured: AccuracyEvidence | None) -> str:
    """Held-out accuracy as 100 pairs, beside the rule that only looks at length."""
    if measured is None:
        return "We cannot say yet on how many of 100 pairs the model agrees with our editors."
    share = Fraction(measured.k, measured.n)
    between = "and how far off that may be cannot be told"
    if measured.low is not None and measured.high is not None:
        between = f"likely between {whole(as_written(measured.low))} and {whole(as_written(measured.high))}"
    return (
        f"Show the new model 100 pairs. It would side with our editors on about {whole(share)}, {between}. "
        f"A rule that only looks at length gets {whole(as_written(measured.longer_wins))}; "
        "a coin gets half of them."
    )


def explain_capability(measured: CapabilityEvidence | None) -> str:
    """The drop as a sentence that names the largest loss still possible."""
    if measured is None:
        return "We cannot say yet if the new model knows less than the starting model."
    high = as_written(measured.high)
    ruled_out = (
        f"We can rule out a drop larger than {points(high)}."
        if high > 0
        else "We can rule out that it knows less."
    )
    return (
        f"Ask both models general questions. The new one scores {change(measured)}. {ruled_out} "
        "A point is one question in 100."
    )


def change(measured: CapabilityEvidence) -> str:
    """The measured drop with its direction: `0.4 points lower`."""
    return _direction(Fraction(measured.n_discordant_worse - measured.n_discordant_better, measured.n))


def whole(share: Fraction) -> str:
    """A share as a whole number of cases in 100."""
    return rounded(share * 100, places=0)


def _direction(drop: Fraction) -> str:
    if in_hundred(abs(drop)) == "0":
        return "about level"
    return f"{points(abs(drop))} {'lower' if drop > 0 else 'higher'}"
