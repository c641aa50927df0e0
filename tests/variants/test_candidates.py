import itertools

import pytest

from stages.measures.intervals import Interval
from stages.variants.variants import Variant, rank_candidates
from tests.support.decision_factory import make_variant


def make_run(
    name: str, selection: float | None, *, seed: int, beta: str = "0.1", **changed: object
) -> Variant:
    params = {"train.beta": beta, "train.seed": str(seed), "generate.seed": "42"}
    return make_variant(name, selection=selection, params=params)._replace(**changed)


def names(variants: list[Variant]) -> list[list[str]]:
    return [[run.name for run in candidate.runs] for candidate in rank_candidates(variants)]


def test_the_mean_over_seeds_ranks_not_the_luckiest_seed():
    steady = [make_run(f"steady-{seed}", share, seed=seed) for seed, share in enumerate((0.70, 0.66, 0.68))]
    lucky = [
        make_run(f"lucky-{seed}", share, seed=seed, beta="0.3") for seed, share in enumerate((0.5, 0.8, 0.65))
    ]
    for order in itertools.permutations(steady + lucky):
        first, second = rank_candidates(order)
        assert [run.name for run in first.runs] == ["steady-0", "steady-2", "steady-1"]
        assert (first.mean, first.spread) == (pytest.approx(0.68), Interval(0.66, 0.70))
        assert [run.name for run in second.runs] == ["lucky-1", "lucky-2", "lucky-0"]
        assert (second.mean, second.spread) == (pytest.approx(0.65), Interval(0.5, 0.8))


def test_the_held_out_pairs_move_no_candidate():
    better, worse = make_run("better", 0.7, seed=1), make_run("worse", 0.6, seed=1, beta="0.3")
    for holdout in (0.1, 0.9):
        gates = make_variant(accuracy=holdout).gates
        assert names([worse._replace(gates=gates), better]) == [["better"], ["worse"]]


def test_only_the_training_seed_may_differ():
    one = make_run("one", 0.7, seed=1)
    assert names([one, make_run("two", 0.6, seed=2)]) == [["one", "two"]]
    for other in (
        make_run("two", 0.6, seed=1, beta="0.3"),
        make_run("two", 0.6, seed=2, trained_on="other pairs, or other code"),
        one._replace(name="two", params=one.params | {"generate.seed": "43"}),
    ):
        assert len(names([one, other])) == 2


def test_runs_without_a_score_stay_out_of_the_mean_and_candidates_without_come_last():
    runs = [make_run("a", 0.5, seed=1), make_run("b", None, seed=2), make_run("c", None, seed=1, beta="0.3")]
    first, last = rank_candidates(runs)
    assert (first.mean, first.n_scored, [run.name for run in first.runs]) == (0.5, 1, ["a", "b"])
    assert (last.mean, last.spread, last.n_scored) == (None, None, 0)


def test_of_equal_means_the_better_best_run_stands_first_whatever_the_order():
    near = [make_run(f"near-{seed}", share, seed=seed) for seed, share in enumerate((0.5, 0.5))]
    far = [make_run(f"far-{seed}", share, seed=seed, beta="0.3") for seed, share in enumerate((0.25, 0.75))]
    for order in itertools.permutations(near + far):
        assert names(order)[0] == ["far-1", "far-0"]
