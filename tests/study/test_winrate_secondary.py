import math
import warnings

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from stages.measures.alpha import ordinal_alpha
from stages.study import winrate_secondary as secondary
from stages.study.design import Slot
from stages.study.unblind import Judgement, Unblinded
from stages.study.winrate import Outcome

ROWS: list[list[Outcome]] = [
    ["win", "win", "tie"],
    ["win", "loss", "loss"],
    ["tie", "tie", "tie"],
    ["win", "loss", "tie"],
    ["win", "win", "win"],
]


def make_judgement(
    editor: str = "ann", item_id: str = "i", outcome: Outcome = "win", left: str = "policy"
) -> Judgement:
    sides = {"win": "left", "loss": "right"} if left == "policy" else {"win": "right", "loss": "left"}
    slot = Slot(slot_id=f"{editor}{item_id}", item_id=item_id, kind="item", left=left)
    return Judgement(editor, item_id, outcome, sides.get(outcome, "tie"), slot)


def test_ties_can_be_left_out_or_held_against() -> None:
    # 6 wins, 5 ties, 3 losses... counted: wins 2+1+0+1+3 = 7, losses 2+1 = 3, ties 1+3+1 = 5
    assert secondary.without_ties(ROWS) == {"value": 0.7, "n": 10}
    assert secondary.strict(ROWS) == {"value": 7 / 15, "n": 15}
    assert secondary.without_ties([["tie", "tie"]]) == {}


def test_the_majority_votes_once_a_prompt() -> None:
    found = secondary.majority(ROWS)
    assert (found["wins"], found["ties"], found["losses"], found["value"]) == (2, 2, 1, 0.6)


def test_leaving_an_editor_out_is_the_win_rate_of_the_others() -> None:
    found = secondary.leave_one_out(ROWS, editors=["ann", "ben", "eve"], z=1.96)
    others = [outcome for row in ROWS for outcome in (row[0], row[2])]
    assert found["ben"]["value"] == (2 * others.count("win") + others.count("tie")) / 20


def test_the_bootstrap_is_seeded_and_mirrors() -> None:
    means = [0.0, 0.5, 1.0, 1.0, 0.75, 0.25, 1.0, 0.5] * 5
    low, high = secondary.bootstrap(means, salt="a").values()
    assert secondary.bootstrap(means, salt="a") == {"low": low, "high": high}
    assert low < np.mean(means) < high
    assert (high - low) == pytest.approx(2 * 1.96 * np.std(means, ddof=1) / np.sqrt(40), rel=0.1)
    assert secondary.bootstrap([0.5] * 9, salt="a") == {}
    assert secondary.bootstrap(means[::-1], salt="a") == {"low": low, "high": high}


def test_side_preference_is_an_exact_binomial_over_decided_screens() -> None:
    left = [make_judgement(item_id=str(i), outcome="win", left="policy") for i in range(9)]
    right = [make_judgement(item_id="r", outcome="loss", left="policy")]
    tie = [make_judgement(item_id="t", outcome="tie")]
    found = secondary.side_preference([*left, *right, *tie])
    # 2 * P(X <= 1), X ~ B(10, 1/2) = 2 * 11 / 1024
    assert found == {"n_left": 9, "n_right": 1, "share_left": 0.9, "p_value": pytest.approx(22 / 1024)}
    assert secondary.side_preference(tie) == {}


def test_repeats_are_consistent_when_the_same_text_wins_again() -> None:
    judgements = [
        make_judgement(item_id=i, outcome=o) for i, o in (("1", "win"), ("2", "loss"), ("3", "tie"))
    ]
    repeats = [
        make_judgement(item_id=i, outcome=o, left="base")
        for i, o in (("1", "win"), ("2", "win"), ("3", "tie"))
    ]
    found = secondary.repeat_consistency(Unblinded(judgements, repeats, {}, 0))
    assert (found["n"], found["n_same"]) == (3, 2)
    assert secondary.repeat_consistency(Unblinded(judgements, [], {}, 0)) == {}


def test_alpha_is_krippendorffs_ordinal_alpha() -> None:
    scores = {"loss": 0.0, "tie": 1.0, "win": 2.0}
    expected = slow_alpha([[scores[o] for o in row] for row in ROWS])
    assert secondary.agreement(ROWS) == {"alpha": pytest.approx(expected), "n_prompts": 5, "n_unanimous": 2}
    assert secondary.agreement([["win", "win"], ["loss", "loss"]])["alpha"] == pytest.approx(1)
    assert secondary.agreement([["win", "win"]] * 3) == {}


def slow_alpha(table: list[list[float]]) -> float:
    """The definition: every ordered pair of ratings of one item, against every pair of all ratings."""
    items = [[value for value in row if not math.isnan(value)] for row in table]
    items = [row for row in items if len(row) >= 2]
    all_ratings = [value for row in items for value in row]
    n = len(all_ratings)

    def distance(one: float, other: float) -> float:
        low, high = min(one, other), max(one, other)
        between = sum(low <= value <= high for value in all_ratings)
        return (between - (all_ratings.count(low) + all_ratings.count(high)) / 2) ** 2

    observed = 0.0
    for row in items:
        for i, one in enumerate(row):
            for j, other in enumerate(row):
                observed += (i != j) * distance(one, other) / (len(row) - 1)
    of_values = {(a, b): distance(a, b) for a in set(all_ratings) for b in set(all_ratings)}
    expected = sum(of_values[a, b] * all_ratings.count(a) * all_ratings.count(b) for a, b in of_values)
    return 1 - (n - 1) * observed / expected if expected else math.nan


def random_table(seed: int, *, sizes: tuple[int, int] = (5, 40)) -> np.ndarray:
    """[n_items, n_raters] of 0, 1, 2 with a fifth of gaps."""
    rng = np.random.default_rng(seed)
    n_raters, n_items = int(rng.integers(2, 6)), int(rng.integers(*sizes))
    table = rng.integers(0, 3, size=(n_raters, n_items)).astype(float)
    table[rng.random(table.shape) < 0.2] = np.nan
    return table.T


def test_alpha_is_its_definition_on_a_thousand_tables_with_gaps() -> None:
    n_compared = 0
    for seed in range(1000):
        table = random_table(1000 + seed, sizes=(2, 9))
        expected = slow_alpha(table.tolist())
        found = ordinal_alpha(table)
        assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)
        n_compared += not math.isnan(expected)
    assert n_compared > 900


def test_alpha_is_what_krippendorff_0_9_0_gave() -> None:
    # at level_of_measurement "ordinal" and value_domain [0, 1, 2], on the transposed tables
    frozen = [
        -0.082370057403, 0.037440540126, -0.152211214711, -0.162441077441, -0.067060415898,
        -0.011628430754, -0.322597402597, -0.006263701848, 0.156090518009, -0.038764432731,
        0.00318591212, -0.181708916084, -0.204366599769, -0.00280155439, 0.155995832493,
        -0.079169065175, -0.107712062958, 0.030372392421, -0.095116920903, -0.042691311558,
    ]  # fmt: skip
    found = [ordinal_alpha(random_table(seed)) for seed in range(20)]
    assert found == pytest.approx(frozen, abs=1e-11)


def test_length_control_finds_no_preference_where_length_explains_it_all() -> None:
    draw = np.random.default_rng(1)
    lengths = draw.uniform(-0.2, 1.0, 400)  # the policy writes longer
    means = (draw.uniform(size=400) < stats.logistic.cdf(2 * lengths)).astype(float)
    found = secondary.length_controlled(list(means), list(lengths), z=1.96)
    assert np.mean(means) > 0.6
    assert found["low"] < 0.5 < found["high"]
    assert found["slope"] == pytest.approx(2, abs=4 * found["slope_stderr"])


KINDS = ("HC0", "HC1", "HC2", "HC3")


def slow_covariance(design: np.ndarray, scores: np.ndarray, weights: np.ndarray, kind: str) -> np.ndarray:
    """The definition with whole matrices and a loop over rows."""
    n, k = design.shape
    root = np.diag(np.sqrt(weights)) @ design
    bread = np.linalg.inv(root.T @ root)
    hat = root @ bread @ root.T
    meat = np.zeros((k, k))
    for i in range(n):
        left = 1 - hat[i, i]
        factor = {"HC0": 1, "HC1": n / (n - k), "HC2": 1 / left, "HC3": 1 / left**2}[kind]
        meat += factor * scores[i] ** 2 * np.outer(design[i], design[i])
    return bread @ meat @ bread


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("seed", "n"), [(1, 6), (2, 9), (3, 14), (4, 25), (5, 40)])
def test_robust_covariances_are_their_definition_and_statsmodels_where_it_has_them(seed, n, kind) -> None:
    draw = np.random.default_rng(seed)
    design = np.column_stack([np.ones(n), draw.normal(size=n)])
    y, weights = draw.uniform(size=n), draw.uniform(0.2, 2, size=n)
    for w in (np.ones(n), weights):
        fit = sm.WLS(y, design, weights=w).fit(cov_type=kind)
        found = secondary.robust_covariance(design, w * fit.resid, w, kind=kind)
        assert found == pytest.approx(fit.cov_params(), abs=1e-9)
        assert found == pytest.approx(slow_covariance(design, w * fit.resid, w, kind), abs=1e-9)
    logit = sm.GLM(y, design, family=sm.families.Binomial()).fit(cov_type="HC0")
    mean = logit.fittedvalues
    arguments = (design, y - mean, mean * (1 - mean))
    found = secondary.robust_covariance(*arguments, kind=kind)
    assert found == pytest.approx(slow_covariance(*arguments, kind), abs=1e-9)
    if kind == "HC0":  # the only one that statsmodels' GLM computes, whatever it is asked for
        assert found == pytest.approx(logit.cov_params(), abs=1e-9)


def test_length_control_rests_on_hc3_and_students_t() -> None:
    draw = np.random.default_rng(2)
    lengths = list(draw.normal(0.1, 0.3, 25))
    means = draw.choice([0, 1 / 6, 0.5, 5 / 6, 1], 25)
    design = sm.add_constant(np.array(lengths))
    fit = sm.GLM(means, design, family=sm.families.Binomial()).fit()
    mean = fit.fittedvalues
    error = np.sqrt(slow_covariance(design, means - mean, mean * (1 - mean), "HC3")[0, 0])
    found = secondary.length_controlled(list(means), lengths, z=stats.norm.ppf(0.975))
    assert found["value"] == pytest.approx(stats.logistic.cdf(fit.params[0]))
    high = fit.params[0] + stats.t.ppf(0.975, 23) * error
    assert found["high"] == pytest.approx(stats.logistic.cdf(high))


@pytest.mark.parametrize(
    ("means", "lengths"),
    [
        ([0.5] * 9, list(range(9))),
        ([0.0, 1.0] * 5, [0.1] * 10),
        ([0.0] * 5 + [1.0] * 5, [-0.1] * 5 + [0.1] * 5),  # length decides every prompt
        ([0.0, 1.0], [0.0, 1.0]),
    ],
)
def test_length_control_says_nothing_where_nothing_can_be_said(means, lengths) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert secondary.length_controlled(means, lengths, z=1.96) == {}
