"""JSON, YAML and CSV texts made to be misread: refused in words, bounded in time, never half understood."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.files.csv_cells import FORMULA_STARTS, disarm, format_table, read_table, restore
from stages.files.json_text import parse_json
from stages.files.yaml_text import might_be_deep, parse_yaml, show

FIXED = settings(max_examples=200)
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def grow(first: str, each: str, *, n_levels: int = 9) -> str:
    """A text whose every level holds the one before it nine times."""
    lines = [f"a0: &a0 {first}"]
    lines += [f"a{n}: &a{n} {each.format(', '.join([f'*a{n - 1}'] * 9))}" for n in range(1, n_levels)]
    return "\n".join(lines)


LISTS_OF_LISTS = grow("[x, x, x, x, x, x, x, x, x]", "[{}]")
MERGES_OF_MERGES = grow("{x0: 1, x1: 1, x2: 1, x3: 1}", "{{<<: [{}]}}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Expecting value"),
        ('{"a": 1} x', "Extra data"),
        ('{"a": 1, "a": 2}', "names 'a' twice"),
        ('{"b": {"a": 1, "a": 1}}', "names 'a' twice"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": -Infinity}', "-Infinity is not a number"),
        ('{"a": 1e999}', "1e999 is too large"),
        ('{"a": -1e999}', "-1e999 is too large"),
        ('{"a": "\\ud83d"}', "half of a character"),
        ('{"\\uDC00": 1}', "half of a character"),
        ("[" * 20_000, "nested too deeply"),
        ('{"a":' * 20_000, "nested too deeply"),
        ("9" * 5000, "4300 digits"),
        ("\ufeff{}", "BOM"),
    ],
)
def test_json_that_others_read_in_two_ways_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_json(text)


@FIXED
@given(VALUES)
def test_all_other_json_is_read_as_the_library_reads_it(value: object) -> None:
    for ascii_only in (True, False):
        assert parse_json(json.dumps(value, ensure_ascii=ascii_only)) == value


@FIXED
@given(st.text())
def test_any_text_is_json_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_json(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "expected"),
        ("a: 1\n--- \nb: 2\n", "another document"),
        ("train:\n  beta: 0.1\n  beta: 0.3\n", "'beta' stands there twice"),
        ("a: 1\n'a': 2\n", "'a' stands there twice"),
        ("a: \0", "unacceptable character"),
        ("a:\n\t- b", "cannot start any token"),
        ("a: *b", "undefined alias"),
        ("a: 0300", "'0300' is one value in YAML 1.1 and another in 1.2"),
        ("a: 5:00", "another in 1.2"),
        ("a: 1_000", "another in 1.2"),
        ("a: 1:30.5", "another in 1.2"),
        ("a: no", "write true or false, or a text in quotes"),
        ("? [a]\n: 1", "unhashable"),
        ("a: 2024-13-45", "month"),
        ("[" * 20_000, "nested more than 50 deep"),
        ("- " * 200 + "a", "nested more than 50 deep"),
        ("9" * 5000, "4300 digits"),
        (MERGES_OF_MERGES, "grows to more than"),
        ("!!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("!!python/name:os.system", "could not determine a constructor"),
        ("a: !include /etc/passwd", "could not determine a constructor"),
    ],
)
def test_yaml_that_is_no_plain_settings_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_yaml(text)


@pytest.mark.parametrize("text", ["[" * 20_000, "- " * 20_000, "{a: " * 20_000, "a:\n" + " " * 20_000 + "b:"])
def test_yaml_that_could_crash_a_parser_in_c_is_seen_before(text: str) -> None:
    assert might_be_deep(text.encode())


def test_a_long_file_of_few_levels_is_not_taken_for_a_deep_one() -> None:
    assert not might_be_deep(b"outs:\n" + b"- path: a\n  md5: " + b"0" * 32 + b"\n- {path: b}\n" * 4_000)


def test_merged_keys_are_read_as_yaml_says() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: {<<: [*a, {y: 5, z: 6}]}\n"
    assert parse_yaml(text) == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 3, "y": 2},
        "c": {"x": 1, "y": 2, "z": 6},
    }


@pytest.mark.parametrize(
    "value", [parse_yaml(LISTS_OF_LISTS), parse_yaml("a: &a [*a]"), "x" * 10**6, list(range(10**6))]
)
def test_a_value_in_a_message_is_short_however_large_it_is(value: object) -> None:
    assert len(show(value)) <= 80


@FIXED
@given(TEXTS)
def test_no_cell_that_is_written_starts_a_formula_and_each_is_read_back(text: str) -> None:
    written = disarm(text)
    assert isinstance(written, str)
    assert not written.startswith(FORMULA_STARTS)
    assert restore(written) == text


@FIXED
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1))
def test_a_table_comes_back_whatever_its_cells_hold(rows: list[tuple[str, str]]) -> None:
    text = format_table(["a", "b"], rows)
    assert [(row["a"], row["b"]) for row in read_table(text, ["a", "b"])] == rows


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no column a, b"),
        ("a\n1\n", "no column b"),
        ("a,b\n1\n", "line 2 has more or fewer cells"),
        ("a,b\n1,2,3\n", "line 2 has more or fewer cells"),
        ('a,b\n"1,2\n', "unexpected end"),
    ],
)
def test_a_table_that_is_cut_off_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        list(read_table(text, ["a", "b"]))


def test_numbers_stay_numbers() -> None:
    assert [disarm(cell) for cell in (-1, -0.5, None, True)] == [-1, -0.5, None, True]
