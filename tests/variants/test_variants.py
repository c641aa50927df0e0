import itertools

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from stages.variants.comparison import gate_cell
from stages.variants.paired import Outcome, compare_outcomes
from stages.variants.pareto_plot import plot_pareto
from stages.variants.variants import (
    differing_params,
    flatten_params,
    interval_after_choosing,
    on_the_frontier,
    rank_variants,
    read_gates,
    read_selection,
)
from tests.support.decision_factory import make_variant


def outcomes(bits: str, clusters: str | None = None) -> dict[str, Outcome]:
    clusters = clusters or "".join(chr(ord("a") + number) for number in range(len(bits)))
    pairs = zip(bits, clusters, strict=True)
    return {f"p{number}": Outcome(bit == "1", cluster) for number, (bit, cluster) in enumerate(pairs)}


def test_the_difference_counts_discordant_items():
    # second has p0, p1, p2 right that first has wrong; first has p3: (3 - 1) / 8
    result = compare_outcomes(outcomes("00011100"), outcomes("11101100"))
    assert (result.n_down, result.n_up, result.n) == (1, 3, 8)
    assert result.value == pytest.approx(0.25)
    assert result.p_mcnemar == pytest.approx(0.625)  # binomial: 2 x (1 + 4) / 16
    assert result.low < 0.25 < result.high


def test_swapping_the_variants_mirrors_the_difference():
    first, second = outcomes("0001110010", "aabbccddee"), outcomes("1110110110", "aabbccddee")
    one, other = compare_outcomes(first, second), compare_outcomes(second, first)
    assert other.value == pytest.approx(-one.value)
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low))
    assert other.p_mcnemar == pytest.approx(one.p_mcnemar)


def test_agreement_on_few_items_is_no_certainty():
    result = compare_outcomes(outcomes("1100"), outcomes("1100"))
    assert result.value == 0
    assert result.low < -0.1
    assert result.high > 0.1


def test_the_paired_interval_keeps_its_coverage():
    rng = np.random.default_rng(7)
    n, p_second, p_first, hits, trials = 300, 0.10, 0.16, 0, 400
    for _ in range(trials):
        draw = rng.choice(3, size=n, p=[p_second, p_first, 1 - p_second - p_first])
        first = {str(i): Outcome(bool(kind != 0), str(i)) for i, kind in enumerate(draw)}
        second = {str(i): Outcome(bool(kind != 1), str(i)) for i, kind in enumerate(draw)}
        result = compare_outcomes(first, second)
        hits += result.low <= p_second - p_first <= result.high
    assert hits / trials >= 0.93


def test_the_interval_of_the_chosen_best_keeps_its_coverage_and_the_plain_one_does_not():
    rng = np.random.default_rng(20)
    n_looks, n, truth, trials = 20, 300, 0.68, 2000
    best = rng.binomial(n, truth, size=(trials, n_looks)).max(axis=1)
    covered = {
        alpha: np.mean(
            [low <= truth <= high for low, high in (proportion_confint(k, n, alpha, "wilson") for k in best)]
        )
        for alpha in (0.05, 0.05 / n_looks)
    }
    assert covered[0.05] < 0.8
    assert covered[0.05 / n_looks] >= 0.95


def test_the_chosen_interval_is_wilsons_at_the_stricter_level():
    wins = [1.0] * 204 + [0.0] * 96
    clusters = [str(number) for number in range(300)]
    assert interval_after_choosing(wins, clusters, n_looks=1) == pytest.approx(
        proportion_confint(204, 300, 0.05, "wilson")
    )
    assert interval_after_choosing(wins, clusters, n_looks=20) == pytest.approx(
        proportion_confint(204, 300, 0.0025, "wilson")
    )


def test_rank_is_by_selection_and_never_by_the_held_out_pairs():
    variants = [
        make_variant("high-holdout", accuracy=0.9, selection=0.6),
        make_variant("none", accuracy=0.95),
        make_variant("best", accuracy=0.7, selection=0.7),
        make_variant("alike", accuracy=0.5, selection=0.6),
    ]
    for order in itertools.permutations(variants):
        assert [one.name for one in rank_variants(order)] == ["best", "alike", "high-holdout", "none"]


def test_only_parameters_that_differ_are_shown():
    first = make_variant("a", params=flatten_params({"train": {"beta": 0.1, "lora": {"r": 8}}, "seed": 1}))
    second = make_variant("b", params=flatten_params({"train": {"beta": 0.3, "lora": {"r": 8}}}))
    assert differing_params([first, second]) == {"seed": ["1", "–"], "train.beta": ["0.1", "0.3"]}


def test_the_frontier_is_what_nothing_beats_in_both():
    variants = [
        make_variant("accurate", 0.75, 0.02),
        make_variant("careful", 0.70, 0.0),
        make_variant("beaten", 0.70, 0.01),
        make_variant("twin", 0.75, 0.02),
        make_variant("unmeasured", 0.9, None),
    ]
    assert on_the_frontier(variants) == {"accurate", "careful", "twin"}
    [plot] = plot_pareto(variants)  # no lengths, so no second panel
    dots = {dot.name: dot for dot in plot.dots}
    assert "unmeasured" not in dots
    assert dots["accurate"].y > dots["careful"].y  # higher up
    assert dots["careful"].x < dots["accurate"].x
    assert plot_pareto([make_variant("x")]) == []


def test_a_single_variant_can_be_drawn():
    drop, length = plot_pareto([make_variant("only", 0.7, 0.01, length_ratio=1.2)])
    for plot in (drop, length):
        [dot] = plot.dots
        assert 0 < dot.x < 100
        assert 0 < dot.y < 100
        assert (dot.on_frontier, dot.is_named) == (True, True)


def test_longer_texts_stand_further_right():
    variants = [
        make_variant("short", 0.7, 0.01, length_ratio=0.9),
        make_variant("long", 0.72, 0.0, length_ratio=1.8),
        make_variant("unwritten", 0.7, 0.02),
    ]
    dots = {dot.name: dot for dot in plot_pareto(variants)[1].dots}
    assert set(dots) == {"short", "long"}
    assert dots["short"].x < dots["long"].x
    assert dots["short"].y < dots["long"].y


def test_of_many_variants_only_the_unbeaten_are_named():
    variants = [make_variant(f"v{number:02d}", 0.6 + number / 1000, 0.01) for number in range(40)]
    [plot] = plot_pareto(variants)
    assert len(plot.dots) == 40
    assert [dot.name for dot in plot.dots if dot.is_named] == ["v39"]


@pytest.mark.parametrize("document", [None, {}, {"selection": 1}, {"selection": {"accuracy": 0.5}}])
def test_what_is_not_there_is_none(document):
    assert read_selection(document) is None
    assert read_gates(document) is None


def test_cells_show_state_where_there_is_no_number():
    assert gate_cell(None) == "–"
    assert gate_cell(make_variant().gates.winrate) == "pending"
