import pytest

from stages.inference.mmlu.questions import MmluAnswer
from stages.measures.intervals import Interval
from stages.measures.paired import PairedDifference
from stages.variants.comparison import (
    CANDIDATE_NOTE,
    Choice,
    Comparison,
    Pairing,
    candidate_rows,
    format_comparison,
    interval,
    params_rows,
    params_text,
    percent,
)
from stages.variants.paired import NotComparable, compare_answers, compare_margins
from stages.variants.variants import Variant, rank_candidates, read_gates
from tests.support.decision_factory import make_variant
from tests.support.margin_factory import make_row


def make_answer(question_id="q1", *, correct=True, config_sha256="c") -> MmluAnswer:
    logprobs = [0.0, -1.0, -2.0, -3.0] if correct else [-1.0, 0.0, -2.0, -3.0]
    return MmluAnswer(
        question_id=question_id,
        subject="anatomy",
        category="stem",
        gold=0,
        logprobs=logprobs,
        predicted=0 if correct else 1,
        correct=correct,
        config_sha256=config_sha256,
    )


def test_only_held_out_pairs_count_and_a_margin_within_the_tolerance_is_no_win():
    first = [make_row("p1", 0.1), make_row("p2", -1.0), make_row("s1", 5.0, part="selection")]
    second = [make_row("p1", 0.1001), make_row("p2", 1.0), make_row("s1", -5.0, part="selection")]
    result = compare_margins(first, second, tolerance=0.1)
    assert isinstance(result, PairedDifference)
    assert (result.n, result.n_down, result.n_up) == (2, 0, 2)


def test_other_pairs_or_another_split_are_not_compared():
    first, other = [make_row("p1"), make_row("p2")], [make_row("p1"), make_row("p3")]
    result = compare_margins(first, other, tolerance=0.0)
    assert result == NotComparable(
        "They were scored on different held-out pairs: 2 and 2, 1 of them the same."
    )
    moved = [make_row("p1", split_sha256="7" * 64), make_row("p2", split_sha256="7" * 64)]
    assert isinstance(compare_margins(first, moved, tolerance=0.0), NotComparable)


def test_answers_are_compared_only_under_one_configuration():
    result = compare_answers([make_answer()], [make_answer(correct=False)])
    assert isinstance(result, PairedDifference)
    assert (result.n_down, result.n_up, result.value) == (1, 0, -1.0)
    assert isinstance(compare_answers([make_answer()], [make_answer(config_sha256="d")]), NotComparable)
    assert isinstance(compare_answers([make_answer()], [make_answer("q2")]), NotComparable)
    assert compare_answers([], [make_answer()]) == NotComparable("One of them answered no questions.")


def test_verdicts_are_read_back():
    gates = make_variant(accuracy=0.7).gates
    verdicts = {name: verdict.model_dump(exclude_none=True) for name, verdict in gates.named().items()}
    assert read_gates({"gate": {**verdicts, "overall": {"state": "pending"}}}) == gates


def test_everything_is_told():
    difference = PairedDifference(300, 4, 11, -7 / 300, -0.05, 0.004, -0.045, -0.001, is_clustered=False)
    first, second = make_variant("one", 0.7, 0.01, selection=0.65), make_variant("two", 0.6, 0.02)
    choice = Choice("one", 3, 210, 300, Interval(0.646, 0.749), Interval(0.633, 0.759))
    pairing = Pairing("one", "two", difference, NotComparable("One of them answered no questions."))
    text = format_comparison(Comparison(rank_candidates([first, second]), 3, choice, [pairing]))
    assert "1     one      65.0 % of 24" in text
    assert "No parameter differs." in text
    assert "have been scored 3 times" in text
    assert "held out 210 of 300 = 70.0 %, 95 % 64.6 % to 74.9 %." in text
    assert "best of 3, only 63.3 % to 75.9 % could be claimed" in text
    assert (
        "held-out accuracy: -2.3 points (95 % -5.0 to +0.4; n 300; only two right 4, only one right 11"
        in text
    )
    assert "right answers: not compared. One of them answered no questions." in text


def make_runs(beta: str, shares: dict[str, float | None]) -> list[Variant]:
    return [
        make_variant(f"{beta}-{seed}", selection=share, params={"train.beta": beta, "train.seed": seed})
        for seed, share in shares.items()
    ]


def test_candidates_are_told_with_their_seeds_before_the_single_runs():
    lone = make_variant("lone", selection=0.5, params={"train.beta": "0.2", "train.seed": "42"})
    runs = [*make_runs("0.1", {"10": 0.7, "2": 0.6, "3": None}), *make_runs("0.3", {"2": 0.75, "10": 0.35})]
    candidates = rank_candidates([lone, *runs])
    assert candidate_rows(candidates)[1:] == [
        ("1", "65.0 %", "60.0 % to 70.0 %", "2 of 3", "2, 3, 10", "0.1"),
        ("2", "55.0 %", "35.0 % to 75.0 %", "2", "2, 10", "0.3"),
        ("3", "50.0 %", "–", "1", "42", "0.2"),
    ]
    choice = Choice("0.1-10", 3, 210, 300, Interval(0.6, 0.7), Interval(0.6, 0.7))
    text = format_comparison(Comparison(candidates, 6, choice, []))
    assert text.splitlines()[0].endswith(" train.beta")
    assert CANDIDATE_NOTE in text
    starts = [" ".join(line.split()[:2]) for line in text.splitlines()]
    runs_in_order = ["1 0.1-10", "1 0.1-2", "1 0.1-3", "2 0.3-2", "2 0.3-10", "3 lone"]
    assert starts[starts.index("1 0.1-10") :][:6] == runs_in_order
    assert "0.1-10 is the best run of the candidate that ranks first by selection accuracy" in text


def test_where_no_seed_was_repeated_there_are_no_candidates_to_tell():
    variants = [*make_runs("0.1", {"1": 0.7}), *make_runs("0.3", {"2": 0.6})]
    assert candidate_rows(rank_candidates(variants)) == []
    assert CANDIDATE_NOTE not in format_comparison(Comparison(rank_candidates(variants), 2, None, []))


def test_parameters_that_differ_are_columns():
    variants = [
        make_variant("a", params={"b": "1", "c": "2"}),
        make_variant("z", params={"b": "3", "c": "2"}),
    ]
    assert params_rows(variants) == [("variant", "b"), ("a", "1"), ("z", "3")]
    assert params_text(variants).splitlines()[2:] == ["a        1", "z        3"]


def test_without_cached_margins_only_the_looks_are_told():
    text = format_comparison(Comparison(rank_candidates([make_variant("one")]), 1, None, []))
    assert "ranks first" not in text


@pytest.mark.parametrize(("share", "text"), [(0.683333, "68.3 %"), (-0.02, "-2.0 %"), (1.0, "100.0 %")])
def test_percent_has_one_decimal(share, text):
    assert percent(share) == text
    assert interval(Interval(share, share)) == f"{text} to {text}"
