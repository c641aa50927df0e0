"""What the editors' choices prefer in a habit, and whether the policy moved that way."""

import warnings
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.discrete.discrete_model import Logit

from stages.measures.intervals import clustered_mean
from stages.prose.changes import Change, Reading, compare, holm
from stages.prose.habits import Habits, measure_habits

ALPHA = 0.05
MIN_GROUPS = 10  # fewer tell nothing about how far a clustered variance is off
Verdict = Literal["unmoved", "with", "against", "beyond", "without"]


class PairHabits(NamedTuple):
    """A training pair's habits, chosen minus rejected, and the component whose pairs may move together."""

    difference: NDArray[np.float64]  # one a habit, as in `Habits`
    component_id: str


class Moved(NamedTuple):
    """Policy minus base in standard deviations over the base's completions, with its 95 % interval."""

    difference: float
    low: float
    high: float
    p_value: float


class Taste(NamedTuple):
    """Log-odds of being chosen for one more unit of a habit, at equal length, with its 95 % interval."""

    log_odds: float
    low: float
    high: float
    p_value: float
    gap: float  # mean of chosen minus rejected, in the same unit


class Habit(NamedTuple):
    """A habit in both models; `moved` and `taste` are in standard deviations over the base's completions."""

    change: Change  # in the habit's own unit
    unit: float
    moved: Moved
    taste: Taste | None
    verdict: Verdict


def pair_habits(chosen: str, rejected: str, component_id: str) -> PairHabits | None:
    """The pair's difference; None where a text has no words."""
    first, second = measure_habits(chosen), measure_habits(rejected)
    return PairHabits(np.subtract(first, second), component_id) if first and second else None


def measure_taste(pairs: Sequence[PairHabits], habit: str, unit: float) -> Taste | None:
    """A logistic regression of the choice on the difference, with the variance and t of `clustered_mean`.

    Beside any other habit stands the difference in length, for it alone may be what was liked. None where the
    pairs show nothing: all alike, all chosen the same way, or from too few components.
    """
    if not pairs:
        return None
    rows = np.array([pair.difference for pair in pairs])
    place = Habits._fields.index(habit)
    x = rows[:, [place]] / unit
    if place:
        x = np.column_stack([x, rows[:, 0] / (np.std(rows[:, 0]) or 1)])
    _, groups = np.unique([pair.component_id for pair in pairs], return_inverse=True)
    if np.ptp(x[:, 0]) == 0 or groups.max() + 1 < MIN_GROUPS:
        return None
    x = x[:, np.ptp(x, axis=0) > 0]
    sides = np.where(
        np.arange(len(x)) % 2, -1, 1
    )  # a pair turned round says the same; a fit needs both answers
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fitted = Logit(sides > 0, x * sides[:, None]).fit(disp=0)
    except (Warning, np.linalg.LinAlgError):  # perfectly separated, or not to be told from length
        return None
    value = float(fitted.params[0])
    pulls = len(x) * (fitted.cov_params() @ fitted.model.score_obs(fitted.params).T)[0]
    spread = clustered_mean(pulls, groups)  # what each pair pulls the estimate by
    if spread is None or spread.variance == 0 or not np.isfinite([value, spread.variance]).all():
        return None
    error = float(np.sqrt(spread.variance))
    reach = float(stats.t.ppf(1 - ALPHA / 2, spread.df)) * error
    gap = float(np.mean(rows[:, place])) / unit
    p_value = 2 * float(stats.t.sf(abs(value) / error, spread.df))
    return Taste(value, value - reach, value + reach, p_value, gap)


def compare_habits(readings: Sequence[Reading], pairs: Sequence[PairHabits]) -> dict[str, Habit]:
    """Every habit, length first; p-values of the moves and of the tastes are corrected by Holm."""
    found: dict[str, Habit] = {}
    ids = [one.prompt_id for one in readings]
    both = [one.base for one in readings], [one.policy for one in readings]
    for habit in Habits._fields:
        base, policy = ([getattr(side.habits, habit) for side in sides] for sides in both)
        unit = float(np.std(base, ddof=1) or np.std([*base, *policy], ddof=1)) or 1.0
        change = compare(base, policy, ids)
        moved = Moved(change.difference / unit, change.low / unit, change.high / unit, change.p_value)
        found[habit] = Habit(change, unit, moved, measure_taste(pairs, habit, unit), "unmoved")
    p_moves = holm([one.change.p_value for one in found.values()])
    p_tastes = iter(holm([one.taste.p_value for one in found.values() if one.taste] or [1.0]))
    for (habit, one), p_move in zip(found.items(), p_moves, strict=True):
        taste = one.taste._replace(p_value=next(p_tastes)) if one.taste else None
        moved = one.moved._replace(p_value=p_move)
        found[habit] = one._replace(moved=moved, taste=taste, verdict=judge(moved, taste))
    return found


def judge(moved: Moved, taste: Taste | None) -> Verdict:
    """With the taste, against it, or beyond: the way the editors like, and surely further than they did.

    `without`: it moved, and the choices show no clear taste. Clear is a corrected p-value below ALPHA.
    """
    if moved.p_value >= ALPHA:
        return "unmoved"
    if taste is None or taste.p_value >= ALPHA:
        return "without"
    if np.sign(moved.difference) != np.sign(taste.log_odds):
        return "against"
    nearest = min(abs(moved.low), abs(moved.high))
    return "beyond" if nearest > abs(taste.gap) else "with"
