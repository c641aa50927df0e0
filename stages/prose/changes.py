"""How far the policy's writing moved from the base's, paired by prompt."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

from stages.measures.intervals import clustered_mean
from stages.measures.paired import paired_difference
from stages.prose.given import Given
from stages.prose.habits import WORD, Habits, measure_habits
from stages.prose.mention import KINDS, Kind
from stages.prose.mentions import Claim, Status, distinct, find_claims
from stages.prose.plain import clean
from stages.prose.tables import COMMON

MIN_WORDS_TO_TELL = 12
MIN_COMMON = (
    0.12  # share of the commonest English words; English prose has .35 to .45, its neighbours under .08
)


class Side(NamedTuple):
    """One model's completion of one prompt."""

    claims: list[Claim]
    habits: Habits

    def n(self, status: Status, kind: Kind | None = None) -> int:
        """How many facts of a status; each counts once, however often the text repeats it."""
        return sum(kind in (None, claim.mention.kind) for claim in distinct(self.claims, status))


class Reading(NamedTuple):
    """Both completions of a prompt, read."""

    prompt_id: str
    base: Side
    policy: Side


class Change(NamedTuple):
    """Means of both models, policy minus base with its 95 % interval, and a p-value against no change."""

    base: float
    policy: float
    difference: float
    low: float
    high: float
    p_value: float


class Texts(NamedTuple):
    """What is read: one prompt and its two completions."""

    prompt_id: str
    prompt: str
    base: str
    policy: str


def is_english(text: str) -> bool:
    """Whether enough of the commonest English words stand in it; a very short text counts as English."""
    words = [word for word in WORD.findall(clean(text).text.lower()) if word[0].isalpha()]
    if len(words) < MIN_WORDS_TO_TELL:
        return 2 * sum(map(str.isascii, text)) >= len(text)
    return sum(word in COMMON for word in words) >= MIN_COMMON * len(words)


def read_texts(texts: Texts) -> Reading | None:
    """Both completions read against their prompt; None where one has no words."""
    given = Given(texts.prompt)
    base, policy = (
        Side(find_claims(text, given), habits) if (habits := measure_habits(text)) else None
        for text in (texts.base, texts.policy)
    )
    return Reading(texts.prompt_id, base, policy) if base and policy else None


def compare(base: Sequence[float], policy: Sequence[float], prompt_ids: Sequence[str]) -> Change:
    """One number a prompt and model, each prompt for itself; ValueError with fewer than two prompts."""
    differences = np.subtract(policy, base)
    if len(differences) < 2:
        raise ValueError("an interval needs at least two prompts")
    found = paired_difference(differences, prompt_ids, is_bounded=False)
    spread = clustered_mean(differences, prompt_ids)
    p_value = 1.0  # differences that are all the same show no luck to compare with
    if spread is not None and spread.variance > 0:
        p_value = 2 * float(stats.t.sf(abs(found.value) / np.sqrt(spread.variance), spread.df))
    return Change(float(np.mean(base)), float(np.mean(policy)), found.value, found.low, found.high, p_value)


def unsupported_rate(readings: Sequence[Reading], kind: Kind | None = None) -> Change:
    """Unsupported mentions in 100 words of all completions together, of one kind or of all.

    A mean of each completion's own rate would hang on those of a few words: one name in one word is 100.
    """
    return compare_sides(
        readings,
        lambda sides: shares_of_rate(
            [side.n("unsupported", kind) for side in sides], [side.habits.length for side in sides]
        ),
    )


def shares_of_rate(mentions: Sequence[float], words: Sequence[float]) -> list[float]:
    """One number a completion whose mean is the rate in 100 words of all, and whose spread is the rate's.

    A ratio of two sums, linearised (Cochran 1977, Sampling Techniques, 6.3): R + (100 m - R w) / mean(w).
    """
    rate = 100 * np.sum(mentions) / np.sum(words)
    return list(rate + (100 * np.asarray(mentions) - rate * np.asarray(words)) / np.mean(words))


def per_completion(readings: Sequence[Reading], status: Status) -> Change:
    """Mentions of a status in a completion."""
    return compare_sides(readings, lambda sides: [side.n(status) for side in sides])


def compare_sides(
    readings: Sequence[Reading], numbers: Callable[[Sequence[Side]], Sequence[float]]
) -> Change:
    """The numbers of the base's completions and of the policy's, one a prompt, compared."""
    base, policy = (numbers(sides) for sides in zip(*(one[1:] for one in readings), strict=True))
    return compare(base, policy, [one.prompt_id for one in readings])


def by_kind(readings: Sequence[Reading]) -> dict[Kind, Change]:
    """`unsupported_rate` of each kind, with Holm's correction of the p-values."""
    return with_holm({kind: unsupported_rate(readings, kind) for kind in KINDS})


def with_holm(changes: dict[Kind, Change]) -> dict[Kind, Change]:
    """The same with p-values corrected for how many there are (Holm 1979)."""
    corrected = holm([change.p_value for change in changes.values()])
    return {key: one._replace(p_value=p) for (key, one), p in zip(changes.items(), corrected, strict=True)}


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979)."""
    return [float(p) for p in multipletests(p_values, method="holm")[1]]
