from fractions import Fraction
from itertools import product

import pytest

from stages.decision.data_facts import gather_data_facts
from stages.decision.evidence import (
    AccuracyEvidence,
    DataEvidence,
    Problem,
    SplitEvidence,
    WinrateStatus,
    parse_capability,
    parse_evidence,
    parse_winrate,
)
from stages.decision.judge import (
    SYNTHETIC,
    Verdict,
    judge_accuracy,
    judge_capability,
    judge_overall,
    judge_winrate,
    summarize_gates,
)
from tests.support.decision_factory import (
    ACCURACY_LIMITS,
    CAPABILITY_LIMITS,
    SPLIT,
    WINRATE_LIMITS,
    accuracy_section,
    capability_section,
    make_accuracy,
    make_capability,
    make_facts,
    make_winrate,
    winrate_section,
)

STATES = ("invalid", "fail", "pending", "inconclusive", "pass", "confirmed")


def accuracy(evidence, **facts) -> Verdict:
    return judge_accuracy(evidence, make_facts(**facts), limits=ACCURACY_LIMITS)


def winrate(evidence, **facts) -> Verdict:
    return judge_winrate(evidence, make_facts(**facts), limits=WINRATE_LIMITS)


def capability(evidence, **facts) -> Verdict:
    return judge_capability(evidence, make_facts(**facts), limits=CAPABILITY_LIMITS)


@pytest.mark.parametrize(
    ("k", "n", "literal"),
    [
        (204, 300, "not met"),  # 204 x 25 = 5100 = 300 x 17: exactly 68 % is not more than 68 %
        (205, 300, "met"),
        (17, 25, "not met"),
        (18, 25, "met"),
        (41, 60, "met"),  # 68.33 %
        (0, 300, "not met"),
        (300, 300, "met"),
    ],
)
def test_more_than_68_percent_is_counted_not_rounded(k, n, literal):
    assert accuracy(make_accuracy(k, n), n_holdout=n).literal_met == literal


@pytest.mark.parametrize(
    ("wins", "ties", "losses", "literal"),
    [
        (90, 0, 60, "not met"),  # 180 half-points of 300: exactly 60 %
        (90, 1, 59, "met"),  # 181
        (0, 150, 0, "not met"),
        (89, 2, 59, "not met"),  # 180 again
        (89, 3, 58, "met"),
    ],
)
def test_more_than_60_percent_is_counted_in_half_points(wins, ties, losses, literal):
    assert winrate(make_winrate(wins, ties, losses)).literal_met == literal


@pytest.mark.parametrize(
    ("worse", "better", "literal"),
    [
        (280, 0, "met"),  # 280.84 = 2 % of 14,042
        (281, 0, "not met"),
        (780, 500, "met"),
        (781, 500, "not met"),
        (0, 281, "met"),  # a gain
    ],
)
def test_a_drop_of_at_most_2_points_is_counted_in_questions(worse, better, literal):
    assert capability(make_capability(worse, better)).literal_met == literal


def test_a_drop_of_exactly_2_points_is_met():
    assert capability(make_capability(20, 0, n=1000)).literal_met == "met"
    assert capability(make_capability(21, 0, n=1000)).literal_met == "not met"


@pytest.mark.parametrize(
    ("low", "high", "state"),
    [
        (0.681, 0.80, "confirmed"),
        (0.68, 0.80, "pass"),  # touching the target is not above it
        (0.5501, 0.80, "pass"),
        (0.55, 0.80, "inconclusive"),  # touching the longer-wins baseline
        (0.50, 0.80, "inconclusive"),
    ],
)
def test_accuracy_states_where_the_interval_touches_a_line(low, high, state):
    assert accuracy(make_accuracy(222, low=low, high=high)).state == state


@pytest.mark.parametrize(
    ("high", "state"), [(0.6799, "fail"), (0.68, "inconclusive"), (0.70, "inconclusive")]
)
def test_accuracy_fails_only_when_the_whole_interval_is_below_the_target(high, state):
    assert accuracy(make_accuracy(180, low=0.55, high=high)).state == state


def test_a_coin_must_be_ruled_out_even_where_length_says_less():
    assert accuracy(make_accuracy(222, low=0.5, high=0.9, longer_wins=0.1)).state == "inconclusive"
    assert accuracy(make_accuracy(222, low=0.501, high=0.9, longer_wins=0.1)).state == "pass"


def test_a_high_interval_does_not_replace_the_literal_rule():
    verdict = accuracy(make_accuracy(204, low=0.66, high=0.8))
    assert (verdict.state, verdict.literal_met) == ("inconclusive", "not met")


@pytest.mark.parametrize(
    ("low", "high", "state"),
    [
        (0.601, 0.7, "confirmed"),
        (0.6, 0.7, "pass"),
        (0.501, 0.7, "pass"),
        (0.5, 0.7, "inconclusive"),
    ],
)
def test_winrate_states_where_the_interval_touches_a_line(low, high, state):
    assert winrate(make_winrate(low=low, high=high)).state == state


@pytest.mark.parametrize(("high", "state"), [(0.599, "fail"), (0.6, "inconclusive")])
def test_winrate_fails_only_when_the_whole_interval_is_below_the_target(high, state):
    assert winrate(make_winrate(75, 0, 75, low=0.4, high=high)).state == state


@pytest.mark.parametrize(
    ("low", "high", "high_two_sided", "state"),
    [
        (0.001, 0.008, 0.009, "confirmed"),
        (0.001, 0.008, 0.01, "pass"),  # touching the stricter line
        (0.001, 0.0199, 0.03, "pass"),
        (0.001, 0.02, 0.03, "inconclusive"),
        (0.001, 0.05, 0.06, "inconclusive"),
    ],
)
def test_capability_states_where_a_bound_touches_a_line(low, high, high_two_sided, state):
    evidence = make_capability(500, 430, low=low, high=high, high_two_sided=high_two_sided)
    assert capability(evidence).state == state


@pytest.mark.parametrize(("low", "state"), [(0.0201, "fail"), (0.02, "inconclusive")])
def test_capability_fails_only_when_the_drop_is_shown_to_be_larger(low, state):
    evidence = make_capability(1000, 500, low=low, high=0.05, high_two_sided=0.06)
    assert capability(evidence).state == state


@pytest.mark.parametrize(
    ("base_acc_low", "at_floor", "state"),
    [
        (0.2701, False, "pass"),
        (0.27, False, "inconclusive"),  # 25 % + 2 points: not above it
        (0.9, True, "inconclusive"),  # what the measuring stage saw counts as well
    ],
)
def test_nothing_to_lose_is_no_pass(base_acc_low, at_floor, state):
    verdict = capability(make_capability(base_acc_low=base_acc_low, at_floor=at_floor))
    assert verdict.state == state


def test_a_shown_drop_outranks_the_floor():
    evidence = make_capability(1000, 500, low=0.03, high=0.05, high_two_sided=0.06, at_floor=True)
    assert capability(evidence).state == "fail"


def test_pending_names_the_floor_too():
    verdict = capability(make_capability(5, 4, n=114, at_floor=True))
    assert verdict.state == "pending"
    assert "114 of the 14,042" in verdict.reasons[0]
    assert "guessing" in verdict.reasons[1]


def test_pending_outranks_fail_within_a_gate_and_keeps_the_numbers():
    verdict = accuracy(make_accuracy(10, 60))
    assert (verdict.state, verdict.literal_met, verdict.n) == ("pending", "not met", 60)
    assert verdict.value == pytest.approx(1 / 6)
    assert verdict.reasons == ("Only 60 of the 300 held-out pairs were scored.",)


def test_one_pair_or_one_question_too_few_is_pending():
    assert accuracy(make_accuracy(280, 299)).state == "pending"
    assert accuracy(make_accuracy(280, 300)).state == "confirmed"
    assert capability(make_capability(n=14041)).state == "pending"
    assert capability(make_capability(n=14042)).state == "pass"


def test_anything_synthetic_is_pending():
    for verdict in (
        accuracy(make_accuracy(n_synthetic=1)),
        winrate(make_winrate(n_synthetic=1)),
        accuracy(make_accuracy(), is_synthetic=True),
        winrate(make_winrate(), is_synthetic=True),
        capability(make_capability(), is_synthetic=True),
    ):
        assert verdict.state == "pending"
        assert verdict.reasons == (SYNTHETIC,)
        assert verdict.literal_met == "met"


def test_a_missing_ballot_is_pending_even_when_called_complete():
    verdict = winrate(make_winrate(n_ballots_received=149))
    assert verdict.state == "pending"
    assert verdict.reasons == ("149 of the 150 ballots are in.",)


def test_a_pending_study_has_no_numbers_and_says_its_own_reason():
    section = {"status": "pending", "reason": "No page was sent.", "n_ballots_expected": 150}
    evidence = parse_winrate({"winrate": {**section, "n_ballots_received": 0, "n_synthetic": 0}})
    verdict = winrate(evidence)
    assert verdict == Verdict(
        "pending", "not measured", ("0 of the 150 ballots are in.", "No page was sent.")
    )


def test_all_ballots_without_a_key_are_pending():
    evidence = WinrateStatus(status="pending", n_ballots_expected=150, n_ballots_received=150, n_synthetic=0)
    assert winrate(evidence).reasons == ("The blind study is not closed yet.",)


def test_an_invalid_study_is_invalid():
    evidence = WinrateStatus(
        status="invalid",
        reason="Ballot 3 changed.",
        n_ballots_expected=150,
        n_ballots_received=150,
        n_synthetic=0,
    )
    assert winrate(evidence).state == "invalid"
    assert winrate(evidence).reasons[-1] == "Ballot 3 changed."


def test_a_study_of_other_texts_is_invalid():
    assert winrate(make_winrate(study_id="a"), study_id="b").state == "invalid"
    assert winrate(make_winrate(study_id="a"), study_id="a").state == "pass"
    other = WinrateStatus(
        status="pending", study_id="a", n_ballots_expected=3, n_ballots_received=0, n_synthetic=0
    )
    assert winrate(other, study_id="b").state == "invalid"


def test_a_rehearsal_alone_is_no_study_and_makes_everything_made_up():
    numbers = {"status": "complete", "value": 0.9, "n_ballots_expected": 3, "n_ballots_received": 3}
    found = parse_winrate({"rehearsal": {**numbers, "n_synthetic": 3}})
    assert isinstance(found, WinrateStatus)
    assert (found.status, found.n_ballots_received, found.n_synthetic) == ("pending", 0, 3)
    assert "no editor has judged" in (found.reason or "")
    assert isinstance(parse_winrate({"rehearsal": {"winrate": 0.9}}), Problem)
    assert winrate(None).state == "pending"


def test_a_leak_makes_held_out_pairs_and_prompts_invalid():
    split = SplitEvidence(n_train=9, n_holdout=300, n_overlaps=2, split_sha256=SPLIT, is_synthetic=False)
    facts = gather_data_facts(DataEvidence(ok=True, is_synthetic=False), split, n_holdout=300, study_id=None)
    assert judge_accuracy(make_accuracy(), facts, limits=ACCURACY_LIMITS).state == "invalid"
    assert judge_winrate(make_winrate(), facts, limits=WINRATE_LIMITS).state == "invalid"
    assert judge_capability(make_capability(), facts, limits=CAPABILITY_LIMITS).state == "pass"


def test_scores_of_another_split_are_invalid():
    assert accuracy(make_accuracy(split_sha256="6" * 64)).state == "invalid"


def test_more_pairs_than_are_held_out_are_invalid():
    assert accuracy(make_accuracy(230, 301)).state == "invalid"


def test_different_questions_are_invalid_with_or_without_numbers():
    for section in ({"same_questions": False}, capability_section(same_questions=False)):
        verdict = capability(parse_capability({"capability": section}))
        assert verdict.state == "invalid"
        assert verdict.reasons[0] == "The two models were not asked the same questions in the same way."


@pytest.mark.parametrize("judge", [accuracy, winrate, capability])
def test_what_was_not_run_is_pending_and_what_cannot_be_read_is_invalid(judge):
    assert judge(None) == Verdict("pending", "not measured", judge(None).reasons)
    assert judge(Problem("Broken.")) == Verdict("invalid", "not measured", ("Broken.",))


@pytest.mark.parametrize("judge", [accuracy, winrate, capability])
def test_data_that_cannot_be_trusted_make_every_gate_invalid(judge):
    good = {accuracy: make_accuracy(), winrate: make_winrate(), capability: make_capability()}[judge]
    facts = gather_data_facts(Problem("No validate."), Problem("No split."), n_holdout=300, study_id=None)
    assert judge(good, **facts._asdict()).state == "invalid"
    facts = gather_data_facts(
        DataEvidence(ok=False, is_synthetic=False),
        SplitEvidence(n_train=9, n_holdout=299, n_overlaps=0, split_sha256=SPLIT, is_synthetic=False),
        n_holdout=300,
        study_id=None,
    )
    verdict = judge(good, **facts._asdict())
    assert verdict.state == "invalid"
    assert len(verdict.reasons) == 2


def test_invalid_outranks_pending():
    assert accuracy(make_accuracy(45, 60, split_sha256="6" * 64, n_synthetic=60)).state == "invalid"
    assert winrate(make_winrate(n_synthetic=3), leaks=("Leak.",)).state == "invalid"


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"k": 301}, "301 of 300"),
        ({"low": 0.9}, "between"),
        ({"high": 0.1}, "between"),
        ({"n": 0}, "holdout.n"),
        ({"k": 1.5}, "holdout.k"),
        ({"low": float("nan")}, "holdout.low"),
        ({"high": 74.0}, "holdout.high"),
        ({"longer_wins": None}, "holdout.longer_wins"),
    ],
)
def test_numbers_that_cannot_be_are_refused_by_name(changed, place):
    section = {**make_accuracy().model_dump(), **changed}
    problem = parse_evidence({"holdout": section}, "holdout", AccuracyEvidence)
    assert isinstance(problem, Problem)
    assert place in problem.sentence


@pytest.mark.parametrize(
    "section",
    [
        winrate_section(wins=95, n=150),
        winrate_section(value=0.9),
        winrate_section(low=0.7),
        {key: value for key, value in winrate_section().items() if key != "ties"},
    ],
)
def test_a_winrate_that_contradicts_itself_is_invalid(section):
    assert winrate(parse_winrate({"winrate": section})).state == "invalid"


@pytest.mark.parametrize(
    ("verdict", "state", "literal"),
    [
        # exactly on the brief's lines, with the intervals that such counts really have
        (accuracy(make_accuracy(204)), "inconclusive", "not met"),
        (accuracy(make_accuracy(205)), "pass", "met"),
        (winrate(make_winrate(90, 0, 60)), "inconclusive", "not met"),
        (winrate(make_winrate(90, 1, 59)), "pass", "met"),
        # 280 and 281 lost of 14,042, with a bound of half a point to either side: 2 points cannot be ruled out
        (
            capability(make_capability(280, 0, low=0.015, high=0.025, high_two_sided=0.026)),
            "inconclusive",
            "met",
        ),
        (
            capability(make_capability(281, 0, low=0.015, high=0.025, high_two_sided=0.026)),
            "inconclusive",
            "not met",
        ),
        # and with bounds so tight that they decide
        (capability(make_capability(280, 0, low=0.0199, high=0.01999, high_two_sided=0.02)), "pass", "met"),
        (
            capability(make_capability(281, 0, low=0.02001, high=0.0201, high_two_sided=0.021)),
            "fail",
            "not met",
        ),
    ],
)
def test_the_states_on_both_sides_of_the_briefs_lines(verdict, state, literal):
    assert (verdict.state, verdict.literal_met) == (state, literal)


READ = {
    "holdout": (
        accuracy,
        lambda section: parse_evidence({"holdout": section}, "holdout", AccuracyEvidence),
        accuracy_section,
    ),
    "winrate": (winrate, lambda section: parse_winrate({"winrate": section}), winrate_section),
    "capability": (capability, lambda section: parse_capability({"capability": section}), capability_section),
}
NEVER_READ = {
    "accuracy",
    "n_prompts",
    "reason",
    "study_id",
    "base_acc",
    "policy_acc",
    "config_sha256",
}
MAY_BE_ABSENT = {"n_eff", "n_star", "z"}  # only to plan with
KEYS = [(name, key) for name, (*_, make) in READ.items() for key in make() if key not in NEVER_READ]


@pytest.mark.parametrize(("name", "key"), KEYS)
@pytest.mark.parametrize("broken", [float("nan"), float("inf"), "many", None, ...])
def test_no_broken_or_missing_number_ever_passes(name, key, broken):
    judge, read, make = READ[name]
    section = make()
    assert judge(read(section)).state in ("pass", "confirmed")
    if broken is ...:
        del section[key]
    else:
        section[key] = broken
    verdict = judge(read(section))
    if key in MAY_BE_ABSENT and (broken is ... or broken is None):
        assert verdict.state in ("pass", "confirmed")
    else:
        assert verdict.state == "invalid"
        assert key in " ".join(verdict.reasons) or key in ("status", "same_questions", "split_sha256")


@pytest.mark.parametrize(
    "changed",
    [
        {"drop": 0.5},
        {"n_policy_correct": 1},
        {"high": -0.5},
        {"high_two_sided": 0.0},
        {"n": 100},
        {"low": 0.2},
    ],
)
def test_a_drop_that_contradicts_itself_is_invalid(changed):
    evidence = parse_capability({"capability": capability_section(**changed)})
    assert capability(evidence).state == "invalid"


@pytest.mark.parametrize(
    ("key", "words"), [("min_share", "a target of 51 in 100"), ("chance", "a chance of 51 in 100")]
)
def test_a_line_that_moved_after_the_study_was_registered_makes_its_result_unusable(key, words):
    same = make_winrate(min_share=0.6, chance=0.5)
    assert winrate(same) == winrate(make_winrate())
    verdict = winrate(same.model_copy(update={key: 0.51}))
    assert verdict.state == "invalid"
    assert words in verdict.reasons[0]
    assert "put the registered one back" in verdict.reasons[0]


def test_pairs_of_one_group_have_no_range_and_settle_nothing():
    section = accuracy_section(290, 300, n_components=1)
    without = {key: value for key, value in section.items() if key not in ("low", "high")}
    verdict = accuracy(parse_evidence({"holdout": without}, "holdout", AccuracyEvidence))
    assert (verdict.state, verdict.literal_met, verdict.low) == ("inconclusive", "met", None)
    assert "one group" in verdict.reasons[0]
    nearly = {key: value for key, value in without.items() if key != "n_eff"} | {"n_components": 2}
    assert accuracy(parse_evidence({"holdout": nearly}, "holdout", AccuracyEvidence)).state == "inconclusive"
    lost = parse_evidence({"holdout": without | {"n_components": 40}}, "holdout", AccuracyEvidence)
    assert accuracy(lost).state == "invalid"


def test_remarks_of_a_study_about_itself_stand_among_the_reasons_and_change_no_state():
    plain = winrate(make_winrate())
    said = winrate(make_winrate(remarks="Of 6 control screens the editors noticed 0."))
    assert said == plain._replace(reasons=(*plain.reasons, "Of 6 control screens the editors noticed 0."))


def test_a_document_without_its_section_is_a_problem():
    assert isinstance(parse_evidence({}, "holdout", AccuracyEvidence), Problem)
    assert isinstance(parse_winrate({}), Problem)


def test_overall_is_the_first_in_the_order_of_the_design():
    for trio in product(STATES, repeat=3):
        assert judge_overall(trio) == min(trio, key=STATES.index)


def test_a_measured_failure_is_not_hidden_by_missing_ballots():
    assert judge_overall(["pass", "pending", "fail"]) == "fail"


def test_summary_leaves_out_what_was_not_measured():
    gates = summarize_gates(
        accuracy=accuracy(make_accuracy()), winrate=winrate(None), capability=capability(make_capability())
    )
    assert set(gates["winrate"]) == {"state", "literal_met", "reasons"}
    assert gates["capability"]["high_two_sided"] == pytest.approx(70 / 14042 + 0.012)
    assert gates["overall"] == {"state": "pending"}
    assert all(isinstance(gate["reasons"], str) for name, gate in gates.items() if name != "overall")


def test_every_state_gives_a_reason_that_is_a_sentence():
    verdicts = [
        accuracy(make_accuracy(250)),
        accuracy(make_accuracy(215)),
        accuracy(make_accuracy(204)),
        accuracy(make_accuracy(150)),
        accuracy(make_accuracy(222, low=0.52, high=0.8)),
        capability(make_capability(low=-0.01, high=0.03, high_two_sided=0.04)),
        capability(make_capability(500, 100, low=0.01, high=0.04, high_two_sided=0.05)),
    ]
    states = [verdict.state for verdict in verdicts]
    assert states == [
        "confirmed",
        "pass",
        "inconclusive",
        "fail",
        "inconclusive",
        "inconclusive",
        "inconclusive",
    ]
    for verdict in verdicts:
        assert verdict.reasons
        assert all(reason[0].isupper() and reason.endswith(".") for reason in verdict.reasons)


def test_a_bound_just_over_a_line_is_not_worded_as_the_line():
    verdict = accuracy(make_accuracy(180, low=0.5, high=0.67999))
    assert verdict.reasons == (
        "Even the top of the likely range, 67.999 in 100, is below the target of 68 in 100.",
    )
    assert ACCURACY_LIMITS.min_share == Fraction("0.68")
