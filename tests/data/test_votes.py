"""Several rows on one pair are votes: the majority is its label, and everything that came is counted."""

import json

import pytest

from stages.data.checking import kept_pairs, validate_pairs
from stages.data.great_expectations import confirm_results, derive_frame
from stages.errors import InputError
from tests.support.pair_factory import (
    check_raw,
    make_raw,
    make_settings,
    make_text,
    violations_of,
    write_rows,
)


def judged(number, editor, preferred="a", *, pair_id=None, swap=False, **fields):
    """One row of the editors' form: `preferred` names text 2n (a) or 2n + 1 (b), whatever the order shown."""
    texts = {"a": make_text(2 * number), "b": make_text(2 * number + 1)}
    first, second = ("b", "a") if swap else ("a", "b")
    shown = {first: "a", second: "b"}
    return {
        "pair_id": pair_id or f"p{number}-{editor}",
        "prompt": f"Write about subject number {number} please.",
        "paragraph_a": texts[first],
        "paragraph_b": texts[second],
        "preferred": shown.get(preferred, preferred),
        "editor": editor,
        **fields,
    }


def counts(checked):
    return checked.rows.n_kept, checked.n_votes, checked.n_repeats, checked.n_set_aside


def kept(tmp_path, rows, settings=None):
    path = write_rows(tmp_path / "pairs.jsonl", rows)
    pairs = validate_pairs(path, {}, settings or make_settings(), None)
    return list(kept_pairs(path, pairs))


def test_two_of_three_editors_make_the_label_and_all_votes_travel_with_the_pair(tmp_path):
    rows = [judged(1, "ann", "b"), judged(1, "ben", "a", swap=True), judged(1, "cid", "b"), judged(2, "ann")]
    for order in (rows, rows[::-1]):
        first, second = sorted(kept(tmp_path, order), key=lambda pair: pair.prompt)
        assert (first.chosen, first.n_votes, first.n_agree) == (make_text(3), 3, 2)
        assert first.votes == {"ann": "chosen", "ben": "rejected", "cid": "chosen"}
        assert first.editor in ("ann", "cid")
        assert (second.n_votes, second.votes, second.editors_votes) == (1, {}, {"ann": "chosen"})
    assert counts(check_raw(rows)) == (2, 4, 0, 0)


def test_a_pair_that_one_editor_judged_is_written_as_ever(tmp_path):
    (pair,) = kept(tmp_path, [judged(1, "ann")])
    assert {"votes", "n_votes", "n_agree", "source"}.isdisjoint(json.loads(pair.model_dump_json()))


def test_an_even_split_is_undecided_and_set_aside():
    checked = check_raw([judged(1, "ann", "a"), judged(1, "ben", "b"), judged(2, "ann")])
    found = violations_of(checked, "preference_is_decided")
    assert [one.found for one in found] == ["an even split: 1 editor prefers each of the two texts"] * 2
    assert counts(checked) == (1, 1, 0, 2)


def test_a_tie_counts_for_neither_side_and_travels_along(tmp_path):
    rows = [judged(1, "ann", "a"), judged(1, "ben", "tie"), judged(2, "ann", "tie"), judged(3, "cid")]
    checked = check_raw(rows)
    assert [one.line for one in violations_of(checked, "preference_is_decided")] == [3]
    assert counts(checked) == (2, 3, 0, 1)
    pair = next(one for one in kept(tmp_path, rows) if one.n_votes == 2)
    assert (pair.n_agree, pair.votes) == (1, {"ann": "chosen", "ben": "tie"})


def test_three_votes_of_one_editor_are_one_vote_and_two_repeats():
    rows = [judged(1, "ann", "a", pair_id=f"x{n}") for n in range(3)] + [judged(1, "ben", "b")]
    rows += [judged(1, "cid", "b")]
    checked = check_raw(rows)
    assert counts(checked) == (1, 3, 2, 0)
    assert checked.judged.n_repeated == checked.judged.n_same == 1
    found = violations_of(checked, "rows_are_unique")
    assert all(
        one.found.endswith("holds the same texts, judged the same, by the same editor") for one in found
    )


def test_an_editor_who_says_both_has_no_vote_and_the_others_keep_theirs():
    rows = [judged(1, "ann", "a"), judged(1, "ann", "b", pair_id="other"), judged(1, "ben", "b")]
    checked = check_raw(rows)
    found = violations_of(checked, "labels_do_not_conflict")
    assert [one.found for one in found] == [f"the opposite preference stands on line {n}" for n in (2, 1)]
    assert counts(checked) == (1, 1, 0, 2)


def test_rows_without_an_editor_are_one_vote_and_contradict_each_other():
    same = check_raw(
        [judged(1, None, "a", pair_id=name) for name in "xy"] + [judged(1, "ann"), judged(2, "ann")]
    )
    assert counts(same) == (2, 3, 1, 0)
    both = check_raw([judged(1, None, "a", pair_id="x"), judged(1, None, "b", pair_id="y"), judged(2, "ann")])
    assert counts(both) == (1, 1, 0, 2)
    assert len(violations_of(both, "labels_do_not_conflict")) == 2


def test_votes_with_one_id_are_votes_and_with_other_texts_name_the_line():
    rows = [judged(1, name, pair_id="same") for name in ("ann", "ben", "cid")]
    assert counts(check_raw(rows)) == (1, 3, 0, 0)
    checked = check_raw([*rows, judged(2, "dan", pair_id="same")])
    assert violations_of(checked, "pair_ids_are_unique")[0].found == "line 4 has the same id and other texts"
    assert counts(checked) == (0, 0, 0, 4)


def test_a_name_spelled_two_ways_is_named():
    checked = check_raw(
        [judged(1, "Ann Lee"), judged(2, "Ann Lee"), judged(3, "ann-lee"), judged(4, "Anna Lee")]
    )
    (found,) = violations_of(checked, "editors_are_spelled_one_way")
    assert (found.line, found.found) == (3, "editor is 'ann-lee', elsewhere 'Ann Lee'")


def test_a_vote_that_a_rule_sets_aside_is_none():
    rows = [judged(1, "ann", "a"), judged(1, "ben", "b"), judged(1, "cid", "b", section=["x"])]
    assert counts(check_raw(rows)) == (0, 0, 0, 3)


def test_two_wordings_of_a_prompt_are_two_items_that_may_not_contradict():
    other = {"prompt": "Write about subject one in other words."}
    rows = [judged(1, "ann", "a"), judged(1, "ben", "a"), judged(1, "ann", "b", pair_id="o", **other)]
    checked = check_raw(rows)
    assert [one.line for one in violations_of(checked, "labels_do_not_conflict")] == [1, 2, 3]
    assert counts(checked) == (0, 0, 0, 3)


def test_rows_are_votes_repeats_or_set_aside_and_great_expectations_counts_the_same():
    rows = [
        judged(1, "ann"), judged(1, "ben", "b"), judged(1, "cid"), judged(1, "cid", pair_id="again"),
        judged(2, "ann", pair_id="p"), judged(2, "ben", pair_id="p"), judged(3, "ann", pair_id="p"),
        judged(4, "ann", "tie"), judged(4, "ben"), judged(5, "ann", paragraph_a=""), judged(6, "ANN"),
    ]  # fmt: skip
    checked = check_raw(rows)
    n_kept, n_votes, n_repeats, n_set_aside = counts(checked)
    assert n_votes + n_repeats + n_set_aside == len(rows)
    assert (n_kept, n_repeats) == (2, 1)  # pairs 1 and 4; 2 and 3 share an id, 6 has another spelling
    from stages.data.checking import judge

    confirm_results("pairs", derive_frame(checked), judge(checked.rows, make_settings()), make_settings())


@pytest.mark.parametrize("order", [1, -1])
def test_texts_that_differ_in_signs_only_are_judged_by_their_signs(order):
    texts = [make_text(1), make_text(1).replace(".", "!")][::order]
    rows = [make_raw(1, chosen=texts[0], rejected=texts[1], editor="ann", pair_id="x")]
    rows += [make_raw(1, chosen=texts[1], rejected=texts[0], editor="ben", pair_id="y")]
    assert counts(check_raw(rows)) == (0, 0, 0, 2)


def with_votes(tmp_path, *votes):
    pairs = write_rows(tmp_path / "pairs.jsonl", [judged(number, "ann") for number in range(4)])
    return validate_pairs(pairs, {}, make_settings(), None, write_rows(tmp_path / "votes.jsonl", votes))


def test_columns_of_the_votes_that_nobody_reads_are_said(tmp_path):
    vote = judged(1, None, edtor="ben", weight=2)
    del vote["editor"]
    remarks = with_votes(tmp_path, vote).remarks
    assert "Further votes: Column 'edtor' is not read; did you mean editor?" in remarks
    assert "Further votes: Column 'weight' is not read." in remarks


def test_first_votes_of_the_votes_file_are_counted_aloud(tmp_path):
    first, further = judged(1, "ann", source="first "), judged(1, "ben", source="control")
    pairs = with_votes(tmp_path, first, further)
    assert pairs.checked.rows.n_rows == 5
    assert "Further votes: 1 of 2 rows have the source first and are not counted again." in pairs.remarks
    with pytest.raises(InputError, match="every vote has the source first"):
        with_votes(tmp_path, first)


@pytest.mark.parametrize("source", ["Suspect", "First", "contorl", "study/s1"])
def test_a_vote_of_an_unknown_source_is_refused_with_its_line(tmp_path, source):
    with pytest.raises(InputError, match=f"1 votes have a source that is none .line 2: '{source}'"):
        with_votes(tmp_path, judged(1, "ben"), judged(2, "ben", source=source))


def test_a_pair_may_come_from_anywhere_but_not_from_a_misspelled_vote():
    checked = check_raw([judged(1, "ann", source="study/s1"), judged(2, "ann", source="Suspect")])
    (found,) = violations_of(checked, "fields_have_their_type")
    assert (found.line, found.found) == (2, "source is str 'Suspect', suspect was expected")


def test_lines_of_the_votes_are_named_as_such(tmp_path):
    prompt = "Write about everything there is to write about in this one long call."
    pairs = write_rows(tmp_path / "p.jsonl", [judged(number, "ann", prompt=prompt) for number in range(9)])
    votes = write_rows(tmp_path / "v.jsonl", [judged(8, "ben", prompt=prompt)])
    said = " ".join(validate_pairs(pairs, {}, make_settings(), None, votes).remarks)
    assert "(such as line 1 and line 1 of the further votes)" in said
