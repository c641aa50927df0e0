from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from stages.inference.mmlu.questions import MmluAnswer
from stages.measures.intervals import Interval
from stages.measures.paired import PairedDifference
from stages.variants.compare import render_comparison
from stages.variants.comparison import (
    CANDIDATE_NOTE,
    Choice,
    Comparison,
    Pairing,
    candidate_rows,
    headline,
    interval,
    missing_line,
    params_rows,
    percent,
    print_comparison,
    rank_labels,
    synthetic_line,
)
from stages.variants.paired import NotComparable, compare_answers, compare_margins
from stages.variants.variants import Variant, rank_candidates, read_gates
from tests.support.decision_factory import make_variant
from tests.support.margin_factory import make_row

GOLDEN = Path(__file__).parent.parent / "golden/compare_80.txt"


def printed(comparison: Comparison, *, width: int = 80) -> str:
    """As it stands in a terminal without colour; the spaces that fill a table's lines are left out."""
    lines = StringIO()
    print_comparison(comparison, Console(file=lines, width=width, markup=False, highlight=False))
    return "".join(f"{line.rstrip()}\n" for line in lines.getvalue().splitlines())


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


def test_made_up_texts_are_said_and_named_where_only_some_are() -> None:
    made_up, real = make_variant("a", is_synthetic=True), make_variant("b")
    assert synthetic_line([real]) == []
    assert "all of these texts." in synthetic_line([made_up])[0]
    assert "all of the texts of a." in synthetic_line([made_up, real])[0]
    comparison = Comparison(rank_candidates([made_up, real]), 2, None, [])
    assert '<p class="notice stop" role="note"><strong>Stop.</strong> Made up' in render_comparison(
        comparison
    )
    assert "Made up: a program" in printed(comparison)


def test_the_page_heads_the_list_of_a_pairs_differences_with_their_names() -> None:
    pairing = Pairing("a", "b", *[NotComparable("No rows.")] * 3)
    variants = [make_variant("a"), make_variant("b")]
    page = render_comparison(Comparison(rank_candidates(variants), 2, None, [pairing]))
    assert "<p>b against a, on the same items:</p>\n<ul>" in page


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


def test_an_interval_that_is_not_there_says_why():
    assert interval(None) == "no interval (all pairs, or nearly all, belong together)"


def test_everything_is_told():
    difference = PairedDifference(300, 4, 11, -7 / 300, -0.05, 0.004, -0.045, -0.001, is_clustered=False)
    first = make_variant("one", 0.7, 0.01, selection=0.65, params={"train.beta": "0.1"})
    second = make_variant("a-longer-name", 0.6, 0.02, selection=0.62, params={"train.beta": "0.3"})
    verdict = first.gates.accuracy.model_copy(
        update={"state": "inconclusive", "low": 0.646, "high": 0.749, "n": 300}
    )
    overall = first.gates.overall.model_copy(update={"state": "inconclusive"})
    first = first._replace(gates=first.gates.model_copy(update={"accuracy": verdict, "overall": overall}))
    choice = Choice("one", 3, 210, 300, Interval(0.646, 0.749), Interval(0.633, 0.759))
    unanswered = NotComparable("One of them answered no questions.")
    pairing = Pairing("one", "a-longer-name", difference, difference, unanswered)
    text = printed(Comparison(rank_candidates([first, second]), 3, choice, [pairing]))
    assert text == GOLDEN.read_text(encoding="utf-8")


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
    text = printed(Comparison(candidates, 6, choice, []))
    assert CANDIDATE_NOTE in " ".join(text.split())
    starts = [" ".join(line.split()[:2]) for line in text.splitlines()]
    runs_in_order = ["1 0.1-10", "1 0.1-2", "1 0.1-3", "2 0.3-2", "2 0.3-10", "3 lone"]
    assert starts[starts.index("1 0.1-10") :][:6] == runs_in_order
    assert "0.1-10 is the best run of the candidate that ranks first by selection accuracy" in " ".join(
        text.split()
    )


def test_where_no_seed_was_repeated_there_are_no_candidates_to_tell():
    variants = [*make_runs("0.1", {"1": 0.7}), *make_runs("0.3", {"2": 0.6})]
    assert candidate_rows(rank_candidates(variants)) == []
    assert CANDIDATE_NOTE not in " ".join(printed(Comparison(rank_candidates(variants), 2, None, [])).split())


def test_parameters_that_differ_are_columns():
    variants = [
        make_variant("a", params={"b": "1", "c": "2"}),
        make_variant("z", params={"b": "3", "c": "2"}),
    ]
    assert params_rows(variants) == [("variant", "b"), ("a", "1"), ("z", "3")]


def headline_of(shares: dict[str, float | None], high: float = -0.01) -> str:
    """The first line, where the second was measured against the first with `high` as its interval's end."""
    variants = [make_variant(name, selection=share, params={"b": name}) for name, share in shares.items()]
    candidates = rank_candidates(variants)
    found = PairedDifference(24, 1, 3, -0.05, -0.1, high, -0.1, high, is_clustered=False)
    names = [one.runs[0].name for one in candidates[:2]]
    pairings = [Pairing(*names, found, found, found)] if len(names) == 2 else []
    return headline(Comparison(candidates, 1, None, pairings))


def test_the_first_line_says_whether_anything_is_ahead():
    assert headline_of({"a": 0.7, "b": 0.6}) == (
        "a is ahead of b by selection accuracy: +5.0 points (95 % +1.0 to +10.0). One of them has a single run: the luck of "
        "its seed is in no range."
    )
    assert headline_of({"a": 0.7, "b": 0.6}, high=0.02).startswith(
        "Nothing is clearly ahead: a ranks first, but +5.0"
    )
    assert headline_of({"a": 0.7, "b": 0.7, "c": 0.1}) == (
        "Nothing is ahead: a and b share the best selection accuracy, 70.0 %."
    )
    for shares in ({"a": 0.7}, {"a": 0.7, "b": None}, {"a": None, "b": None}):
        assert headline_of(shares) == "Nothing is ahead: fewer than two variants have a selection accuracy."


def test_what_cannot_be_paired_is_not_called_ahead():
    variants = [
        make_variant(name, selection=share, params={"b": name}) for name, share in (("a", 0.7), ("b", 0.6))
    ]
    text = headline(Comparison(rank_candidates(variants), 1, None, []))
    assert text == "a ranks first; whether it is ahead of b cannot be said. The two were not paired."


def test_a_candidate_whose_seeds_reach_below_the_next_is_not_called_ahead():
    runs = [*make_runs("0.1", {"1": 0.9, "2": 0.5}), *make_runs("0.3", {"1": 0.6})]
    found = PairedDifference(24, 1, 3, -0.3, -0.4, -0.2, -0.4, -0.2, is_clustered=False)
    pairing = Pairing("0.1-1", "0.3-1", found, found, found)
    text = headline(Comparison(rank_candidates(runs), 1, None, [pairing]))
    assert text.startswith("Nothing is clearly ahead: 0.1-1 ranks first")


def test_ties_share_a_rank_and_what_has_no_score_has_none():
    shares = {"a": 0.7, "b": 0.6, "c": 0.6, "d": 0.5, "e": None}
    variants = [make_variant(name, selection=share, params={"b": name}) for name, share in shares.items()]
    assert rank_labels(rank_candidates(variants)) == ["1", "2=", "2=", "4", "–"]


def test_a_variant_whose_metrics_are_missing_is_named() -> None:
    lines = missing_line([make_variant("a", selection=0.7), make_variant("b")])
    assert lines[0].startswith("No selection accuracy: b. metrics/accuracy.json is missing")
    assert missing_line([make_variant("a", selection=0.7)]) == []


def test_the_page_names_a_variant_without_metrics_too() -> None:
    candidates = rank_candidates([make_variant("a", selection=0.7), make_variant("b")])
    page = render_comparison(Comparison(candidates, n_looks=1, choice=None, pairings=[]))
    assert "<p>No selection accuracy: b. metrics/accuracy.json is missing" in page


def test_a_narrow_terminal_shows_each_row_as_lines():
    variants = [make_variant("a" * 30, 0.7, 0.01, selection=0.65)]
    text = printed(Comparison(rank_candidates(variants), 1, None, []), width=20)
    assert "  selection: 65.0 %\n  held out: 70.0 %\n" in text
    assert f"  variant: {'a' * 30}\n" in text  # the terminal may break it, nothing is cut


def test_without_cached_margins_only_the_looks_are_told():
    text = printed(Comparison(rank_candidates([make_variant("one")]), 1, None, []))
    assert "ranks first" not in text


@pytest.mark.parametrize(("share", "text"), [(0.683333, "68.3 %"), (-0.02, "-2.0 %"), (1.0, "100.0 %")])
def test_percent_has_one_decimal(share, text):
    assert percent(share) == text
    assert interval(Interval(share, share)) == f"{text} to {text}"
