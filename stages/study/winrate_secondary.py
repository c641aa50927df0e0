"""Beside the win rate, never gated: what else the same judgements say, and how far to trust them."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM
from statsmodels.tools.sm_exceptions import ConvergenceWarning, PerfectSeparationWarning

from stages.files.hashing import seed
from stages.measures.alpha import ordinal_alpha
from stages.measures.intervals import wilson_interval
from stages.study.unblind import Judgement, Unblinded
from stages.study.winrate import POINTS, Outcome, estimate_winrate

N_RESAMPLES = 9999
LARGEST_LOGIT = 10.0  # beyond it the fit has separated and says nothing

Numbers = dict[str, Any]


def secondary_metrics(
    outcomes: Mapping[str, Sequence[Outcome]],
    unblinded: Unblinded,
    relative_lengths: Mapping[str, float],
    *,
    editors: Sequence[str],
    z: float,
    salt: str,
) -> Numbers:
    """Every secondary analysis by name. What cannot be computed is left out, never zero.

    `outcomes`: item id -> one outcome per editor. `relative_lengths`: item id -> (policy - base)
    characters over their mean. `salt` seeds the bootstrap.
    """
    rows = [list(row) for row in outcomes.values()]
    shown = [
        item_id for item_id in outcomes if item_id in {j.item_id for j in unblinded.judgements if j.slot}
    ]
    means = {item_id: sum(POINTS[o] for o in row) / (2 * len(row)) for item_id, row in outcomes.items()}
    found = {
        "without_ties": without_ties(rows),
        "strict": strict(rows),
        "majority": majority(rows),
        "leave_one_out": leave_one_out(rows, editors=editors, z=z),
        "bootstrap": bootstrap(list(means.values()), salt=salt),
        "side": side_preference([*shown_only(unblinded.judgements), *unblinded.repeats]),
        "repeats": repeat_consistency(unblinded),
        "anchors": anchors(unblinded),
        "agreement": agreement([outcomes[item_id] for item_id in shown]),
        "length_controlled": length_controlled(
            list(means.values()), [relative_lengths[i] for i in means if i in relative_lengths], z=z
        ),
    }
    return {name: numbers for name, numbers in found.items() if numbers}


def shown_only(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Judgements that somebody made; identical completions were shown to nobody."""
    return [judgement for judgement in judgements if judgement.slot is not None]


def without_ties(rows: Sequence[Sequence[Outcome]]) -> Numbers:
    """Wins among the decided judgements."""
    flat = [outcome for row in rows for outcome in row if outcome != "tie"]
    return {"value": flat.count("win") / len(flat), "n": len(flat)} if flat else {}


def strict(rows: Sequence[Sequence[Outcome]]) -> Numbers:
    """Wins among all judgements: a tie counts as no win."""
    flat = [outcome for row in rows for outcome in row]
    return {"value": flat.count("win") / len(flat), "n": len(flat)}


def majority(rows: Sequence[Sequence[Outcome]]) -> Numbers:
    """One vote per prompt: the model more editors chose, half where as many chose either."""
    balance = [row.count("win") - row.count("loss") for row in map(list, rows)]
    wins, losses = sum(b > 0 for b in balance), sum(b < 0 for b in balance)
    ties = len(balance) - wins - losses
    interval = wilson_interval(wins + ties / 2, len(balance))
    value = (wins + ties / 2) / len(balance)
    return {
        "wins": wins,
        "ties": ties,
        "losses": losses,
        "value": value,
        "low": interval.low,
        "high": interval.high,
    }


def leave_one_out(rows: Sequence[Sequence[Outcome]], *, editors: Sequence[str], z: float) -> Numbers:
    """The win rate without each editor in turn."""
    if len(editors) < 2:
        return {}
    found = {}
    for left_out, editor in enumerate(editors):
        rate = estimate_winrate([[*row[:left_out], *row[left_out + 1 :]] for row in rows], z=z)
        found[editor] = {"value": rate.value, "low": rate.low, "high": rate.high}
    return found


def bootstrap(means: Sequence[float], *, salt: str) -> Numbers:
    """BCa interval of the mean over prompts, 95 %, seeded; none where all prompts say the same."""
    if len(set(means)) < 2:
        return {}
    result = stats.bootstrap(
        (np.sort(means),),  # whatever order the prompts came in
        np.mean,
        n_resamples=N_RESAMPLES,
        method="BCa",
        rng=np.random.default_rng(seed("winrate bootstrap", salt)),
    )
    low, high = (float(end) for end in result.confidence_interval)
    return {"low": low, "high": high} if np.isfinite([low, high]).all() else {}


def side_preference(judgements: Sequence[Judgement]) -> Numbers:
    """Left against right among decided screens; `p_value` is the exact two-sided binomial's."""
    n_left = sum(judgement.choice == "left" for judgement in judgements)
    n_right = sum(judgement.choice == "right" for judgement in judgements)
    if n_left + n_right == 0:
        return {}
    test = stats.binomtest(n_left, n_left + n_right)
    share = n_left / (n_left + n_right)
    return {"n_left": n_left, "n_right": n_right, "share_left": share, "p_value": float(test.pvalue)}


def repeat_consistency(unblinded: Unblinded) -> Numbers:
    """Repeats on which the editor said the same of the same texts, sides swapped."""
    first = {(j.editor, j.item_id): j.outcome for j in unblinded.judgements}
    same = [first[repeat.editor, repeat.item_id] == repeat.outcome for repeat in unblinded.repeats]
    if not same:
        return {}
    interval = wilson_interval(sum(same), len(same))
    share = sum(same) / len(same)
    return {"n": len(same), "n_same": sum(same), "share": share, "low": interval.low, "high": interval.high}


def anchors(unblinded: Unblinded) -> Numbers:
    """Anchors on which the plainly better text was chosen."""
    n = unblinded.n_anchors * len(unblinded.anchors_noticed)
    return {"n": n, "n_noticed": sum(unblinded.anchors_noticed.values())} if n else {}


def agreement(rows: Sequence[Sequence[Outcome]]) -> Numbers:
    """Krippendorff's alpha (ordinal: loss < tie < win) over the prompts that were shown."""
    if not rows or len(rows[0]) < 2 or len({outcome for row in rows for outcome in row}) < 2:
        return {}
    alpha = ordinal_alpha([[POINTS[outcome] for outcome in row] for row in rows])
    unanimous = sum(len(set(row)) == 1 for row in rows)
    return {"alpha": alpha, "n_prompts": len(rows), "n_unanimous": unanimous}


def length_controlled(means: Sequence[float], relative_lengths: Sequence[float], *, z: float) -> Numbers:
    """The win rate at equal length: fractional logit of the prompts' means on relative length.

    Its variance is HC3, its quantile that of Student's t with prompts - 2 degrees of freedom. Nothing where
    lengths or means do not vary, or where length alone decides every prompt.
    """
    if len(set(means)) < 2 or len(set(relative_lengths)) < 2 or len(means) < 4:
        return {}
    design = np.column_stack([np.ones(len(means)), relative_lengths])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # statsmodels warns where the fit cannot be identified
            fit = GLM(np.asarray(means), design, family=Binomial()).fit()
    except (PerfectSeparationWarning, ConvergenceWarning, RuntimeWarning):
        return {}
    mean = np.asarray(fit.fittedvalues)
    covariance = robust_covariance(design, np.asarray(means) - mean, mean * (1 - mean), kind="HC3")
    centre, slope = (float(one) for one in fit.params)
    if (
        not np.isfinite([centre, slope, *covariance.ravel()]).all()
        or abs(centre) > LARGEST_LOGIT
        or abs(slope) > 10 * LARGEST_LOGIT
    ):
        return {}
    error, slope_error = (float(one) for one in np.sqrt(np.diag(covariance)))
    reach = float(stats.t.isf(stats.norm.sf(z), len(means) - 2)) * error
    ends = stats.logistic.cdf([centre, centre - reach, centre + reach])
    return {
        "value": float(ends[0]),
        "low": float(ends[1]),
        "high": float(ends[2]),
        "slope": slope,
        "slope_stderr": slope_error,
    }


def robust_covariance(
    design: NDArray[np.float64],
    scores: NDArray[np.float64],
    weights: NDArray[np.float64],
    *,
    kind: Literal["HC0", "HC1", "HC2", "HC3"],
) -> NDArray[np.float64]:
    """Heteroskedasticity-consistent covariance of coefficients (MacKinnon and White 1985), [k, k].

    (X'WX)^-1 X' diag(u^2) X (X'WX)^-1, with u the `scores` (weight times residual of least squares, y - mean
    of a logit) and h the leverages of W^1/2 X. HC1 multiplies by n / (n - k), HC2 divides u^2 by 1 - h, HC3
    by (1 - h)^2. statsmodels' GLM gives HC0 under all four names. Not finite where a leverage is 1.
    """
    n, k = design.shape
    bread = np.linalg.inv(design.T @ (weights[:, None] * design))
    leverage = weights * np.sum((design @ bread) * design, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = {
            "HC0": np.ones(n),
            "HC1": np.full(n, n / (n - k)),
            "HC2": 1 / (1 - leverage),
            "HC3": 1 / (1 - leverage) ** 2,
        }[kind]
        found: NDArray[np.float64] = bread @ (design.T @ ((scores**2 * factor)[:, None] * design)) @ bread
    return found
