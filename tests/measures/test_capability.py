import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import beta, binomtest, norm, t
from threadpoolctl import threadpool_limits

from stages.inference.mmlu.questions import CATEGORY_OF, find_mismatch
from stages.measures.capability import (
    AnswerError,
    Pair,
    drop_by_category,
    drop_by_subject,
    drop_of,
    lower_bound,
    pair_answers,
    refuse_contradictions,
    summarise,
)
from stages.measures.intervals import clustered_mean
from stages.measures.paired import paired_difference
from tests.support.mmlu_factory import make_answer

SUBJECTS = sorted(CATEGORY_OF)


def make_pairs(
    both: int = 0, worse: int = 0, better: int = 0, neither: int = 0, subject: str = "anatomy"
) -> list[Pair]:
    counts = {(True, True): both, (True, False): worse, (False, True): better, (False, False): neither}
    return [
        Pair(subject, CATEGORY_OF[subject], base, policy)
        for (base, policy), n in counts.items()
        for _ in range(n)
    ]


def swap(pairs: list[Pair]) -> list[Pair]:
    return [
        pair._replace(base_correct=pair.policy_correct, policy_correct=pair.base_correct) for pair in pairs
    ]


pair_lists = st.lists(
    st.tuples(st.sampled_from(SUBJECTS[:6]), st.booleans(), st.booleans()).map(
        lambda row: Pair(row[0], CATEGORY_OF[row[0]], row[1], row[2])
    ),
    min_size=1,
    max_size=60,
)


def test_a_worked_example_in_one_subject() -> None:
    # n = 100, B = 6, C = 2: D = 4 / 100 = 0.04. With 1/2 added to each of B and C:
    # SE^2 = (6.5 + 2.5 - (6.5 - 2.5)^2 / 100) / 100^2 = (9 - 0.16) / 10000 = 0.000884
    # SE = 0.0297321; bounds 0.04 -+ 1.644854 SE; two-sided 0.04 + 1.959964 SE
    found = drop_of(make_pairs(both=50, worse=6, better=2, neither=42))
    error = math.sqrt(0.000884)
    assert found.value == pytest.approx(0.04)
    assert found.low_one_sided == pytest.approx(0.04 - 1.6448536 * error, abs=1e-7)
    assert found.high_one_sided == pytest.approx(0.04 + 1.6448536 * error, abs=1e-7)
    assert found.high == pytest.approx(0.04 + 1.9599640 * error, abs=1e-7)
    assert not found.is_clustered


def test_a_worked_example_in_which_a_subject_falls_as_a_whole() -> None:
    # Four subjects of 10; one has 8 worse, the others agree: D = 8 / 40 = 0.2.
    # Independent gives (8 - 64 / 40) / 1600, which is 0.004.
    # CR1: 4/3 * sum over subjects of (sum of (d - D))^2 / 40^2
    #    = 4/3 * ((8 - 2)^2 + 3 * (0 - 2)^2) / 1600 = 4/3 * 48 / 1600 = 0.04: the larger
    # SE^2 = 0.04 + 1 / 1600; quantile of t with 3 degrees of freedom 2.353363
    pairs = make_pairs(worse=8, both=2, subject=SUBJECTS[0])
    for subject in SUBJECTS[1:4]:
        pairs += make_pairs(both=10, subject=subject)
    found = drop_of(pairs)
    error = math.sqrt(0.04 + 1 / 1600)
    assert found.is_clustered
    assert found.value == pytest.approx(0.2)
    assert found.low_one_sided == pytest.approx(0.2 - 2.3533634 * error, abs=1e-6)
    assert found.high_one_sided == pytest.approx(0.2 + 2.3533634 * error, abs=1e-6)
    assert found.high == pytest.approx(0.2 + 3.1824463 * error, abs=1e-6)


@given(pairs=pair_lists)
def test_the_bounds_are_the_definition_computed_the_slow_way(pairs: list[Pair]) -> None:
    n = len(pairs)
    n_worse = sum(pair.base_correct and not pair.policy_correct for pair in pairs)
    n_better = sum(pair.policy_correct and not pair.base_correct for pair in pairs)
    drop = (n_worse - n_better) / n
    independent = (n_worse + n_better + 1 - (n_worse - n_better) ** 2 / n) / n**2
    subjects = {pair.subject for pair in pairs}
    clustered = 0.0
    if n**2 >= 1.5 * sum(sum(pair.subject == subject for pair in pairs) ** 2 for subject in subjects):
        groups = [[pair.worse for pair in pairs if pair.subject == subject] for subject in subjects]
        shares = [len(group) / n for group in groups]
        sums = [sum(worse - drop for worse in group) for group in groups]
        clustered = 1 / n**2
        clustered += sum(total**2 / (1 - f) for total, f in zip(sums, shares, strict=True)) / n**2
        mean = clustered_mean([pair.worse for pair in pairs], [pair.subject for pair in pairs])
        assert mean is not None
        df = mean.df  # held to the matrices in test_clusters.py
    found = drop_of(pairs)
    assert found.value == pytest.approx(drop)
    if abs(independent - clustered) < 1e-12:
        return  # either quantile may be taken
    if clustered > independent:
        level, level_two = t.ppf(0.95, df), t.ppf(0.975, df)
    else:
        level, level_two = norm.ppf(0.95), norm.ppf(0.975)
    error = math.sqrt(max(independent, clustered))
    assert found.low_one_sided == pytest.approx(max(-1, drop - level * error))
    assert found.high_one_sided == pytest.approx(min(1, drop + level * error))
    assert found.high == pytest.approx(min(1, drop + level_two * error))


@given(pairs=pair_lists)
def test_swapping_the_models_mirrors_the_drop(pairs: list[Pair]) -> None:
    there, back = drop_of(pairs), drop_of(swap(pairs))
    assert back.value == pytest.approx(-there.value)
    assert back.low == pytest.approx(-there.high)
    assert back.high == pytest.approx(-there.low)


@settings(max_examples=15)
@given(pairs=pair_lists, data=st.data())
def test_the_order_of_questions_does_not_matter(pairs: list[Pair], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(pairs))
    first, second = (summarise(one, chance=0.25, max_drop=0.02) for one in (pairs, shuffled))
    assert first["worst"] == second["worst"]
    assert first["high"] == pytest.approx(second["high"])


@pytest.mark.parametrize("n_subjects", [1, 57])
def test_agreement_on_every_question_is_no_certainty(n_subjects: int) -> None:
    pairs = [
        pair for subject in SUBJECTS[:n_subjects] for pair in make_pairs(both=1, neither=1, subject=subject)
    ]
    found = drop_of(pairs)
    # B = C = 1/2: SE = 1 / n, so the bounds are -+ 1.645 / n
    assert found.value == 0
    assert found.high_one_sided == pytest.approx(1.6448536 / len(pairs))
    assert found.low_one_sided == -found.high_one_sided


def test_a_drop_over_no_questions_is_no_drop() -> None:
    with pytest.raises(ValueError, match="at least one pair"):
        paired_difference(np.array([], dtype=int), np.array([], dtype=int))


def test_the_base_is_at_the_floor_until_its_lower_bound_is_above_chance_and_the_limit() -> None:
    def at_floor(n_correct: int) -> object:
        pairs = make_pairs(both=n_correct, neither=1000 - n_correct)
        return summarise(pairs, chance=0.25, max_drop=0.02)["at_floor"]

    # Wilson's one-sided 95 % bound, the slow way: the lowest p at which k is within 1.645 SE
    def slow_bound(k: int, n: int) -> float:
        low, high = 0.0, k / n
        for _ in range(60):
            middle = (low + high) / 2
            is_inside = k / n - middle <= 1.6448536 * math.sqrt(middle * (1 - middle) / n)
            low, high = (low, middle) if is_inside else (middle, high)
        return high

    first_above = next(k for k in range(1001) if slow_bound(k, 1000) > 0.27)
    assert slow_bound(first_above, 1000) == pytest.approx(lower_bound(first_above, 1000), abs=1e-6)
    assert at_floor(first_above - 1) is True
    assert at_floor(first_above) is False


def test_the_summary_counts_what_happened() -> None:
    pairs = make_pairs(both=5, worse=3, better=1, neither=1) + make_pairs(
        both=2, better=2, subject="virology"
    )
    found = summarise(pairs, chance=0.25, max_drop=0.02)
    assert found["n"] == 14
    assert found["n_subjects"] == 2
    assert (found["n_base_correct"], found["n_policy_correct"]) == (5 + 3 + 2, 5 + 1 + 2 + 2)
    assert (found["n_discordant_worse"], found["n_discordant_better"]) == (3, 3)
    assert found["discordance"] == pytest.approx(6 / 14)
    assert found["drop"] == pytest.approx(0)
    # anatomy (3 - 1) / 10 = 0.2, virology -2 / 4 = -0.5: their mean is -0.15
    assert found["macro_drop"] == pytest.approx(-0.15)
    assert found["base_acc"] == pytest.approx(10 / 14)
    assert found["policy_acc"] == pytest.approx(10 / 14)
    assert found["worst"] == {
        "1": {"subject": "anatomy", "drop": 0.2, "n": 10, "p_holm": pytest.approx(0.625)}
    }


def test_the_five_worst_subjects_are_listed_with_holms_p() -> None:
    pairs = [
        pair
        for number, subject in enumerate(SUBJECTS[:7])
        for pair in make_pairs(worse=number, both=20 - number, subject=subject)
    ]
    rows = drop_by_subject(pairs)
    assert [row.n_worse for row in rows] == [6, 5, 4, 3, 2, 1, 0]
    # exact one-sided p of k worse and none better is 2^-k; Holm: the smallest times 7, the next
    # times 6, ..., each at least the one before: 7/64, 6/32, 5/16, 4/8, 3/4, then 1
    assert [row.p_holm for row in rows] == pytest.approx([7 / 64, 6 / 32, 5 / 16, 1 / 2, 3 / 4, 1, 1])
    worst = summarise(pairs, chance=0.25, max_drop=0.02)["worst"]
    assert isinstance(worst, dict)
    assert list(worst) == ["1", "2", "3", "4", "5"]
    assert worst["1"] == {"subject": SUBJECTS[6], "drop": 0.3, "n": 20, "p_holm": pytest.approx(7 / 64)}


@settings(max_examples=30)
@given(n_worse=st.integers(0, 9), n_better=st.integers(0, 9))
def test_a_subjects_p_is_the_exact_chance_of_that_many_worse(n_worse: int, n_better: int) -> None:
    (row,) = drop_by_subject(make_pairs(worse=n_worse, better=n_better, both=1))
    n = n_worse + n_better
    assert row.p_holm == pytest.approx(sum(math.comb(n, k) for k in range(n_worse, n + 1)) / 2**n)


def test_categories_are_measured_like_the_whole() -> None:
    stem = make_pairs(both=5, worse=3, better=1, neither=1)
    humanities = make_pairs(both=7, worse=1, subject="philosophy")
    rows = {row.category: row for row in drop_by_category(stem + humanities)}
    assert list(rows) == ["humanities", "stem"]
    assert rows["stem"].drop == drop_of(stem)
    assert (rows["stem"].n, rows["stem"].base_acc, rows["stem"].policy_acc) == (10, 0.8, 0.6)
    assert rows["humanities"].policy_acc == pytest.approx(7 / 8)


def test_answers_are_paired_by_their_question() -> None:
    base = [make_answer("q2", correct=False, subject="virology"), make_answer("q1")]
    policy = [make_answer("q1", correct=False), make_answer("q2", subject="virology")]
    assert find_mismatch(base, policy) is None
    assert pair_answers(base, policy) == [
        Pair("anatomy", "stem", base_correct=True, policy_correct=False),
        Pair("virology", "other", base_correct=False, policy_correct=True),
    ]


def test_different_questions_are_not_compared() -> None:
    mismatch = find_mismatch([make_answer("q1"), make_answer("q2"), make_answer("q3")], [make_answer("q1")])
    assert mismatch == "the models answered different questions: 2 only the base, 0 only the policy, 1 both"


def test_different_configurations_are_not_compared() -> None:
    mismatch = find_mismatch([make_answer()], [make_answer(config_sha256="d")])
    assert mismatch == "the models were asked under different configurations"


@pytest.mark.parametrize("change", [{"gold": 2}, {"subject": "virology"}])
def test_a_question_with_two_right_answers_or_subjects_is_not_compared(change: dict[str, object]) -> None:
    mismatch = find_mismatch([make_answer()], [make_answer(**change)])  # type: ignore[arg-type]
    assert mismatch is not None
    assert "another right answer or subject" in mismatch


def test_a_file_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(AnswerError, match="no answers"):
        refuse_contradictions([])
    with pytest.raises(AnswerError, match="1 questions are answered twice \\(first: q1\\)"):
        refuse_contradictions([make_answer("q1"), make_answer("q2"), make_answer("q1")])
    with pytest.raises(AnswerError, match="more than one configuration"):
        refuse_contradictions([make_answer("q1"), make_answer("q2", config_sha256="d")])
    refuse_contradictions([make_answer("q1"), make_answer("q2")])


@pytest.fixture(name="one_thread")
def _one_thread() -> Iterator[None]:
    """Many small sums: threads would only wait for each other."""
    with threadpool_limits(1):
        yield


def simulate(
    n: int, *, drop: float, discordance: float, seed: int
) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Independent questions: worse with (discordance + drop) / 2, better with (discordance - drop) / 2."""
    draws = np.random.default_rng(seed).random(n)
    worse = (draws < (discordance + drop) / 2).astype(int) - (draws > 1 - (discordance - drop) / 2).astype(
        int
    )
    return worse, np.arange(n) % 57


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    ("n", "drop", "discordance"), [(1531, 0.0, 0.05), (1531, 0.02, 0.1), (14042, 0.01, 0.02)]
)
def test_each_bound_holds_in_95_of_100_simulated_models(n: int, drop: float, discordance: float) -> None:
    n_models = 400
    found = [
        paired_difference(*simulate(n, drop=drop, discordance=discordance, seed=seed))
        for seed in range(n_models)
    ]
    for n_held in (
        sum(one.low_one_sided <= drop for one in found),
        sum(drop <= one.high_one_sided for one in found),
    ):
        # 95 % within what 400 draws allow, at one in a thousand
        assert binomtest(n_held, n_models, 0.95).pvalue > 0.001


def test_the_standard_error_is_that_of_resampled_questions() -> None:
    worse, _ = simulate(1531, drop=0.02, discordance=0.1, seed=5)
    draws = np.random.default_rng(6)
    resampled = [worse[draws.integers(0, len(worse), len(worse))].mean() for _ in range(4000)]
    found = paired_difference(worse, None)
    # the bootstrap's own error at 4000 draws is about 1.1 %; the half a question adds 0.3 %
    assert (found.high_one_sided - found.value) / norm.ppf(0.95) == pytest.approx(np.std(resampled), rel=0.05)


def test_the_clustered_standard_error_is_that_of_resampled_subjects() -> None:
    draws = np.random.default_rng(7)
    subjects = np.repeat(np.arange(57), 20)
    uneven = draws.normal(0.02, 0.1, 57)[subjects]
    worse = (draws.random(len(subjects)) < np.abs(uneven)) * np.sign(uneven).astype(int)
    by_subject = worse.reshape(57, 20).mean(axis=1)
    resampled = [by_subject[draws.integers(0, 57, 57)].mean() for _ in range(4000)]
    found = paired_difference(worse, subjects)
    assert found.is_clustered
    # CR1's correction is 57 / 56 in the variance
    assert (found.high_one_sided - found.value) / t.ppf(0.95, 56) == pytest.approx(
        np.std(resampled), rel=0.05
    )


@pytest.mark.usefixtures("one_thread")
def test_a_forbidden_drop_seldom_passes() -> None:
    n_models = 400
    n_passed = sum(
        paired_difference(*simulate(14042, drop=0.02, discordance=0.06, seed=seed)).high_one_sided < 0.02
        for seed in range(n_models)
    )
    assert n_passed / n_models < beta.ppf(0.999, 0.05 * n_models + 1, 0.95 * n_models)
