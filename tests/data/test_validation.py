from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression

from stages.data.audits import _longer_wins, audit_pairs, classify_by_features, fit_logistic
from stages.data.forms.columns import PAIRS, match_columns
from stages.data.forms.rows import Finding, RawRow
from stages.data.pair_rules import N_LINES_NAMED, find_contradictions, first_of_each
from stages.data.rules import RULES, RuleSetting, compare_rules
from stages.data.validation import read_whole
from tests.support.pair_factory import check_raw, make_raw, make_settings, make_text, violations_of

edges = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=14)


def on_slow_circle(edge, graph):
    """Is there a way back from the other end, over edges that are no conflicts?"""
    seen, ahead = set(), [edge[1]]
    while ahead:
        node = ahead.pop()
        if node == edge[0]:
            return True
        if node not in seen:
            seen.add(node)
            ahead += [end for start, end in graph if start == node]
    return False


@given(edges)
def test_conflicts_and_circles_are_those_of_the_definition(rows):
    found = find_contradictions(
        np.array([a for a, _ in rows], dtype=np.int64), np.array([b for _, b in rows], dtype=np.int64)
    )
    conflicts = [(b, a) in rows and a != b for a, b in rows]
    assert (found.conflict >= 0).tolist() == conflicts
    rest = {row for row, bad in zip(rows, conflicts, strict=True) if not bad and row[0] != row[1]}
    assert (found.circle >= 0).tolist() == [row in rest and on_slow_circle(row, rest) for row in rows]


def test_a_conflict_sets_both_rows_aside_and_each_names_the_other():
    one, other = make_text(1), make_text(2)
    checked = check_raw(
        [
            make_raw(1, chosen=one, rejected=other),
            make_raw(2),
            make_raw(3, chosen=other, rejected=one.upper()),
        ]
    )
    found = violations_of(checked, "labels_do_not_conflict")
    assert [(row.line, row.found.split()[-1]) for row in found] == [(1, "3"), (3, "1")]
    assert checked.rows.kept.tolist() == [False, True, False]
    assert checked.audit.numbers["n_conflicts"] == 1


def test_a_circle_of_three_is_found_whatever_the_order_of_its_rows():
    texts = [make_text(number) for number in range(3)]
    rows = [make_raw(n, chosen=texts[n], rejected=texts[(n + 1) % 3]) for n in range(3)]
    for order in permutations(rows):
        checked = check_raw([*order, make_raw(9)])
        assert [row.line for row in violations_of(checked, "labels_have_no_cycle")] == [1, 2, 3]
        assert checked.audit.numbers["n_circles"] == 1


def test_a_chain_of_revisions_is_no_circle():
    rows = [make_raw(n, chosen=make_text(n + 1), rejected=make_text(n)) for n in range(4)]
    checked = check_raw(rows)
    assert checked.rows.kept.all()
    assert len(violations_of(checked, "pairs_are_not_near_duplicates")) == 4


BAD_FIELDS = [
    ("required_fields_are_filled", {"chosen": ""}, "chosen is empty"),
    ("required_fields_are_filled", {"prompt": " \n\t"}, "prompt is empty"),
    ("required_fields_are_filled", {"pair_id": None}, "pair_id is empty"),
    ("fields_have_their_type", {"chosen": ["a", "b"]}, "chosen, message 1 has no role"),
    ("fields_have_their_type", {"rejected": 7}, "rejected is int 7"),
    ("fields_have_their_type", {"editor": {"name": "x"}}, "editor is dict"),
    ("fields_have_their_type", {"pair_id": 1.5}, "pair_id is float"),
    ("fields_have_their_type", {"chosen_shown": "top"}, "chosen_shown is str 'top'"),
    ("fields_have_their_type", {"synthetic": "maybe"}, "synthetic is str 'maybe'"),
    ("completions_differ", {"chosen": "Same words, twice said here.", "rejected": "Same words,  twice said here. "}, "both are"),
    ("completions_differ_in_words", {"chosen": "Same words, twice said here.", "rejected": "same WORDS twice  said here."}, "and 'same WORDS"),
    ("text_encoding_is_sound", {"chosen": "The villageâ€™s hall is open to all."}, "chosen: "),
    ("text_encoding_is_sound", {"chosen": "A nul \x00 character stands in here."}, "chosen: "),
    ("text_encoding_is_sound", {"rejected": "A lost \ufffd character stands in here."}, "rejected: "),
    ("word_counts_are_within_limits", {"chosen": "Too short."}, "2 words"),
    ("word_counts_are_within_limits", {"rejected": "word " * 601 + "."}, "602 words"),
    ("completions_end_a_sentence", {"chosen": "This one was cut off in the"}, "cut off in the"),
    ("prompt_does_not_leak_into_completion", {"chosen": "Write about subject number 1 please: so it was done."}, "chosen contains"),
    ("texts_hold_no_markup", {"chosen": "Here is <b>bold</b> text for all to see."}, "<b>"),
    ("texts_hold_no_markup", {"rejected": "Salt &amp; pepper on all of the tables."}, "&amp;"),
    ("texts_are_no_formulas", {"chosen": "=HYPERLINK(0) is what this text begins with."}, "=HYPERLINK"),
    ("texts_are_no_formulas", {"rejected": "@SUM(A1) is what this text begins with."}, "@SUM"),
    ("no_personal_data_patterns", {"chosen": "Write to jo.doe@example.org for more on this."}, "an e-mail address"),
    ("no_personal_data_patterns", {"chosen": "Ring us on (202) 555-0123 for more on this."}, "a telephone number"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "fields", "found"), BAD_FIELDS)
def test_a_bad_row_breaks_its_rule_alone_and_is_set_aside(rule, fields, found):
    checked = check_raw([make_raw(1, **fields), make_raw(2)])
    broken = {name for name in RULES if violations_of(checked, name)}
    assert broken == {rule}
    assert found in violations_of(checked, rule)[0].found
    assert checked.rows.kept.tolist() == [False, True]


SOUND_TEXTS = [
    "We spent $5,750 on 25 sessions (2019–2021), or 23 a year.",
    "“It works,” she said; NÃO é fácil, and the café is open.",
    "The list follows here, with all of its parts:",
    "If a < b and b > c then nothing is marked up here.",
    "- a point that begins with a dash and a space.",
    "The 2012-2013 budget had 1,234,567 pounds in it!",
]


@pytest.mark.parametrize("text", SOUND_TEXTS)
def test_sound_texts_break_no_rule(text):
    checked = check_raw([make_raw(1, chosen=text)])
    assert checked.rows.findings == []


def test_all_rules_that_a_row_breaks_are_named_at_once():
    checked = check_raw([make_raw(1, chosen="", editor=["x"], synthetic="?"), make_raw(2)])
    (_, types), (_, unfilled) = checked.rows.findings
    assert types.rule == "fields_have_their_type"
    assert types.found.startswith("editor is list")
    assert "; synthetic is str" in types.found
    assert unfilled == Finding("required_fields_are_filled", "chosen is empty")


def test_rows_that_share_an_id_are_all_set_aside():
    checked = check_raw([make_raw(1), make_raw(2, pair_id="p0001"), make_raw(3)])
    assert [row.found for row in violations_of(checked, "pair_ids_are_unique")] == [
        "line 2 has the same id and other texts",
        "line 1 has the same id and other texts",
    ]
    assert checked.rows.kept.tolist() == [False, False, True]


def test_which_of_two_equal_rows_is_kept_does_not_depend_on_their_order():
    row = make_raw(1)
    rows = [row, make_raw(2), {**row, "pair_id": "again", "chosen": row["chosen"].upper()}]
    aside = [violations_of(check_raw(some), "rows_are_unique") for some in (rows, rows[::-1])]
    assert [len(found) for found in aside] == [1, 1]
    assert aside[0][0].pair_id == aside[1][0].pair_id
    assert {found[0].line for found in aside} == {1, 3}
    other = 4 - aside[0][0].line
    assert aside[0][0].found == f"line {other} holds the same texts, judged the same"


@pytest.mark.parametrize("name", ["chosen", "rejected"])
def test_line_breaks_and_spaces_before_a_completion_are_dropped_and_said(name):
    raw = make_raw(1)
    checked = check_raw([{**raw, name: "\n\n " + raw[name]}, make_raw(2)])
    assert checked.rows.kept.all()
    assert checked.audit.numbers["n_pairs_with_leading_space"] == 1
    assert any(
        "1 pairs have line breaks or spaces before a completion" in one for one in checked.audit.remarks
    )
    row = RawRow(1, {**raw, name: "\n\n " + raw[name]})
    reading, was_indented = read_whole(row, match_columns(list(raw), PAIRS, {}))
    assert was_indented
    assert reading.pair == read_whole(RawRow(1, raw), match_columns(list(raw), PAIRS, {}))[0].pair


def test_a_component_of_all_pairs_is_remarked_on_with_its_cause():
    remarks = check_raw(
        [make_raw(number, prompt="Write about the same thing.") for number in range(60)]
    ).audit.remarks
    assert any(
        "One component is very large: all 60 pairs share one prompt (such as line 1 and line 60)" in one
        for one in remarks
    )


def test_words_are_letters_where_a_script_has_no_spaces():
    chinese = "我们的项目将在三年内为二十个村庄建设图书馆并培训一百名志愿者教师。"
    checked = check_raw(
        [
            make_raw(1, chosen=chinese, rejected="我们想在很多地方建图书馆。"),
            make_raw(2, chosen=chinese.replace("。", "，谢谢。"), rejected="ห้องสมุดแห่งใหม่จะเปิดให้บริการในหมู่บ้าน"),
        ]
    )
    assert violations_of(checked, "word_counts_are_within_limits") == []
    assert len(violations_of(checked, "pairs_are_not_near_duplicates")) == 2
    assert checked.audit.numbers["n_texts_without_words"] == 0


def test_a_script_that_cannot_be_cut_into_words_is_said():
    javanese = "ꦲꦤꦕꦫꦏꦢꦠꦱꦮꦭꦥꦝꦗꦪꦚꦩꦒꦧꦛꦔ" * 5
    checked = check_raw([make_raw(1, chosen=javanese)], min_words=1)
    assert checked.audit.numbers["n_texts_without_words"] == 1
    assert any("nobody can say that no part of them" in one for one in checked.audit.remarks)


def test_a_small_edit_is_remarked_on_and_kept():
    text = make_text(1, n_words=80)
    checked = check_raw([make_raw(1, chosen=text, rejected=text[:-1] + " too.")])
    assert len(violations_of(checked, "sides_are_not_near_duplicates")) == 1
    assert violations_of(checked, "pairs_are_not_near_duplicates") == []
    assert checked.rows.kept.all()


@pytest.mark.parametrize(
    ("preferred", "chosen", "shown"),
    [("a", "first", "left"), (" B ", "second", "right"), ("b", "second", "right")],
)
def test_the_editors_form_keeps_the_order_shown(preferred, chosen, shown):
    texts = {"first": make_text(1), "second": make_text(2)}
    row = {
        "id": 17,
        "prompt": "Say it.",
        "paragraph_a": texts["first"],
        "paragraph_b": texts["second"],
        "preferred": preferred,
    }
    checked = check_raw([row])
    assert checked.rows.findings == []
    assert checked.entries.ids.all == ["17"]
    numbers = checked.entries.texts
    assert checked.entries.column("chosen")[0] == numbers.find(texts[chosen])
    assert checked.entries.column("shown")[0] == {"left": 1, "right": 2}[shown]


@pytest.mark.parametrize("preferred", ["tie", " Tie ", "both", "No preference", "EQUAL"])
def test_a_tie_is_set_aside_and_said(preferred):
    row = {
        "id": "t",
        "prompt": "Say it.",
        "paragraph_a": make_text(1),
        "paragraph_b": make_text(2),
        "preferred": preferred,
    }
    checked = check_raw([row])
    assert [one.pair_id for one in violations_of(checked, "preference_is_decided")] == ["t"]
    assert not checked.rows.kept.any()


@settings(max_examples=40)
@given(st.lists(st.sampled_from([fields for _, fields, _ in BAD_FIELDS] + [{}] * 10), max_size=12))
def test_rows_in_are_rows_kept_and_rows_set_aside_each_with_a_reason(rows):
    checked = check_raw([make_raw(number, **fields) for number, fields in enumerate([{}, *rows])])
    aside = {row for row, finding in checked.rows.findings if make_settings().rules[finding.rule].set_aside}
    assert set(np.flatnonzero(~checked.rows.kept).tolist()) == aside
    assert checked.rows.n_rows == len(rows) + 1 == checked.rows.kept.sum() + len(aside)


def test_settings_of_other_rules_are_refused():
    rules = dict(make_settings().rules)
    assert compare_rules(rules) == []
    del rules["rows_are_unique"]
    rules["rows_are_nice"] = RuleSetting("error", 0.0, True)
    rules["rows_are_readable"] = RuleSetting("error", 0.0, False)
    problems = compare_rules(rules)
    assert [problem.split(":")[0] for problem in problems] == [
        "rows_are_nice",
        "rows_are_unique",
        "rows_are_readable",
    ]


def test_a_classifier_that_sees_lengths_finds_a_rule_of_length():
    random = np.random.default_rng(1)
    differences = random.normal(size=(300, 10)).astype(np.float32)
    groups = np.arange(300) // 3
    noise = classify_by_features(differences, groups)["trivial_classifier_accuracy"]
    assert 0.4 < noise < 0.6
    differences[:, 0] = np.abs(differences[:, 0])
    assert classify_by_features(differences, groups)["trivial_classifier_accuracy"] > 0.8


def test_few_pairs_are_not_classified():
    assert classify_by_features(np.ones((49, 10), dtype=np.float32), np.arange(49)) == {}


def test_the_audit_remarks_on_length_side_and_editors():
    rows = [
        make_raw(n, chosen=make_text(2 * n, n_words=20), chosen_shown="left", editor="ann" if n else "bob")
        for n in range(40)
    ]
    checked = check_raw(rows)
    numbers = checked.audit.numbers
    assert numbers["longer_wins_share"] == 1.0
    assert numbers["left_wins_share"] == 1.0
    assert numbers["left_wins_p_value"] == pytest.approx(2 * 0.5**40)
    assert numbers["n_pairs_of_rarest_editor"] == 1
    said = " ".join(checked.audit.remarks)
    assert "longer text wins in 100.0 %" in said
    assert "left text wins in 100.0 %" in said
    assert "fewest pairs judged 1," in said


def test_texts_of_equal_length_are_half_of_a_longer_one():
    differences = np.array([5.0] * 3 + [-5.0] * 3 + [0.0] * 4, dtype=np.float32)
    found = _longer_wins(differences)
    assert found == {"longer_wins_share": 0.5, "length_baseline_accuracy": 0.5, "n_equal_length": 4}


def test_what_was_not_measured_is_left_out():
    numbers = check_raw([make_raw(1)]).audit.numbers
    assert numbers["n_order_known"] == 0
    assert {"left_wins_share", "trivial_classifier_accuracy"}.isdisjoint(numbers)


def test_the_audit_tells_the_first_and_last_day_of_review():
    days = ["2025-03-14T23:30:00+02:00", "2025-02-28", None, "last spring", 1712120400123]
    checked = check_raw([make_raw(number, reviewed_at=day) for number, day in enumerate(days)])
    assert checked.audit.review_dates == {"reviewed_from": "2025-02-28", "reviewed_to": "2025-03-14"}
    assert checked.audit.numbers["n_day_known"] == 2
    unknown = check_raw([make_raw(1, reviewed_at=None)]).audit
    assert unknown.review_dates == {}
    assert unknown.numbers["n_day_known"] == 0


def test_the_audit_looks_at_kept_pairs_only():
    rows = [
        make_raw(1, chosen=make_text(2, n_words=40)),
        make_raw(2, chosen=make_text(4, n_words=5)),
        make_raw(3),
    ]
    checked = check_raw(rows)
    none = audit_pairs(checked.entries, np.array([False, True, False]), np.arange(3), make_settings().audit)
    assert none.numbers["longer_wins_share"] == 0.0


@settings(max_examples=60)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=60))
def test_the_lines_named_are_the_first_ones_that_say_otherwise(chosen):
    entries = list(range(len(chosen)))
    few = first_of_each(entries, chosen)
    assert len(few) <= 2 * (N_LINES_NAMED + 1)
    for entry in entries:
        all_others = [other for other in entries if chosen[other] != chosen[entry]]
        others = [other for other in few if chosen[other] != chosen[entry]]
        assert others[:N_LINES_NAMED] == all_others[:N_LINES_NAMED]
        assert (len(others) > N_LINES_NAMED) == (len(all_others) > N_LINES_NAMED)


def test_the_trivial_classifier_is_scikit_learns_logistic_regression():
    differences = np.random.default_rng(3).normal(0.3, 1, size=(80, 4))
    turned = np.where(np.arange(80) % 2, -1, 1)  # it wants two classes; without an intercept they are alike
    model = LogisticRegression(fit_intercept=False, tol=1e-8).fit(differences * turned[:, None], turned)
    assert fit_logistic(differences) == pytest.approx(model.coef_[0], abs=1e-4)


@pytest.mark.parametrize(("n_left", "n_right"), [(0, 5), (7, 3), (50, 50), (40, 61)])
def test_the_p_value_of_left_against_right_is_the_exact_binomial(n_left, n_right):
    shown = ["left"] * n_left + ["right"] * n_right
    checked = check_raw([make_raw(number, chosen_shown=side) for number, side in enumerate(shown)])
    expected = binomtest(n_left, n_left + n_right).pvalue
    assert checked.audit.numbers["left_wins_p_value"] == pytest.approx(expected)
