"""Tables as spreadsheets, editors and pandas write them: what is read, what is said, what is refused."""

import gzip
import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.data.forms.choices import read_choice
from stages.data.forms.rows import Reading, read_pair, read_prompt
from stages.data.forms.tables import open_pairs, open_prompts
from stages.errors import InputError
from tests.support.workbooks import write_ods, write_xlsx

HEADER = ["pair_id", "prompt", "paragraph_a", "paragraph_b", "preferred", "editor", "group_id"]
ROWS = [
    ["p1", "Say; it, now.", "One, two.", "Three\tfour.", "a", "ann", "g1"],
    ["p2", "Say more.", "Five.", "Six.", "b", "ben", "g2"],
]
READ = [("p1", "One, two.", "ann", "g1"), ("p2", "Six.", "ben", "g2")]


def read(path: Path, sheet: str | None = None) -> tuple[list[Reading], tuple[str, ...]]:
    table = open_pairs(path, {}, sheet)
    return [read_pair(row, table.columns) for row in table.rows], table.columns.remarks


def brief(readings: Sequence[Reading]) -> list[Any]:
    pairs = [reading.pair for reading in readings]
    return [pair and (pair.pair_id, pair.chosen, pair.editor, pair.group_id) for pair in pairs]


def spell(rows: Sequence[Sequence[str]], delimiter: str = ",", end: str = "\r\n") -> str:
    return "".join(delimiter.join(f'"{cell}"' if cell else "" for cell in row) + end for row in rows)


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("top", ["", "sep={}", "\ufeff"])
def test_cells_may_be_separated_and_lines_ended_in_any_usual_way(
    tmp_path: Path, delimiter: str, end: str, top: str
) -> None:
    first = top.format(delimiter) + (end if "sep" in top else "")
    path = write(tmp_path / "a.csv", first + spell([HEADER, *ROWS], delimiter, end))
    assert brief(read(path)[0]) == READ


def test_tsv_and_packed_files_are_read_by_their_endings(tmp_path: Path) -> None:
    tsv = write(tmp_path / "a.tsv", spell([HEADER, *ROWS], "\t"))
    packed = tmp_path / "a.csv.gz"
    packed.write_bytes(gzip.compress(tsv.read_bytes()))
    assert brief(read(tsv)[0]) == brief(read(packed)[0]) == READ


def test_a_title_blank_rows_and_nameless_columns_of_a_spreadsheet_are_passed_over_and_said(
    tmp_path: Path,
) -> None:
    blank = [""] * 9
    rows = [["Pairs of March"], blank, [*HEADER, "", ""], *([*row, "", ""] for row in ROWS), blank, blank]
    path = write(tmp_path / "a.csv", spell(rows))
    readings, remarks = read(path)
    assert brief(readings) == READ
    assert [reading.line for reading in readings] == [4, 5]
    assert "Line 1 stands above the header and is not read: 'Pairs of March'." in remarks
    assert "2 blank rows are not read." in remarks


def test_empty_cells_beyond_the_header_are_nothing_and_filled_ones_are_a_broken_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", spell([HEADER, [*ROWS[0], "", ""], [*ROWS[1], "", "note"]]))
    readings, _ = read(path)
    assert brief(readings) == [READ[0], None]
    assert readings[1].findings[0].found == "has 9 cells, the header has 7"


def test_a_note_in_a_nameless_column_is_a_column_that_nobody_reads(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", spell([["", *HEADER], ["see p2", *ROWS[0]], ["", *ROWS[1]]]))
    readings, remarks = read(path)
    assert brief(readings) == READ
    assert "Column 'column 1' is not read." in remarks


@pytest.mark.parametrize("write_book", [write_xlsx, write_ods])
def test_a_workbook_is_read_from_its_only_sheet_or_from_the_one_with_our_columns(
    tmp_path: Path, write_book: Any
) -> None:
    ending = ".xlsx" if write_book is write_xlsx else ".ods"
    one = write_book(tmp_path / f"one{ending}", {"Sheet1": [HEADER, *ROWS], "Sheet2": []})
    assert brief(read(one)[0]) == READ
    two = write_book(
        tmp_path / f"two{ending}", {"Notes": [["Ask Ann."]], "Pairs": [["March"], HEADER, *ROWS]}
    )
    readings, remarks = read(two)
    assert brief(readings) == READ
    assert [reading.line for reading in readings] == [3, 4]
    assert "Sheet 'Pairs' is read; the others hold none of our columns." in remarks


def test_a_workbook_with_several_sheets_of_pairs_wants_one_named(tmp_path: Path) -> None:
    book = write_xlsx(tmp_path / "a.xlsx", {"March": [HEADER, ROWS[0]], "April": [HEADER, ROWS[1]]})
    with pytest.raises(InputError, match=r"'March', 'April'; name one in `data.sheet` or with --sheet"):
        read(book)
    assert brief(read(book, "April")[0]) == READ[1:]
    with pytest.raises(InputError, match="has no sheet 'May'; its sheets are 'March', 'April'"):
        read(book, "May")
    with pytest.raises(InputError, match="has no sheets"):
        read(write(tmp_path / "a.csv", spell([HEADER, *ROWS])), "April")


def test_numbers_and_dates_of_a_workbook_are_names(tmp_path: Path) -> None:
    header = [*HEADER, "reviewed_at"]
    row = [7.0, "Say it.", "One.", "Two.", 2.0, 3, 100.0, date(2026, 3, 1)]
    (reading,), _ = read(write_ods(tmp_path / "a.ods", {"s": [header, row]}))
    pair = reading.pair
    assert pair is not None
    assert (pair.pair_id, pair.chosen, pair.editor, pair.group_id) == ("7", "Two.", "3", "100")
    assert pair.reviewed_at == "2026-03-01"


def test_floats_of_pandas_are_whole_where_the_cell_or_the_whole_column_says_so(tmp_path: Path) -> None:
    rows = [
        {"id": n, "prompt": "Say.", "chosen": f"{n}.", "rejected": "no", "group_id": g}
        for n, g in ((1.0, 100.0), (2, 100))
    ]
    lines = write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert [pair[0::3] for pair in brief(read(lines)[0])] == [("1", "100"), ("2", "100")]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert [pair[0::3] for pair in brief(read(tmp_path / "a.parquet")[0])] == [("1", "100"), ("2", "100")]
    cells = [HEADER, ["1.0", *ROWS[0][1:6], "2.0"], ["2.0", *ROWS[1][1:6], "1.5"]]
    readings, remarks = read(write(tmp_path / "a.csv", spell(cells)))
    assert [pair[0::3] for pair in brief(readings)] == [
        ("1", "2.0"),
        ("2", "1.5"),
    ]  # a version, no whole number
    assert "Every pair_id ends in .0 and is read as a whole number." in remarks


@pytest.mark.parametrize("value", [1.5, 1e300, float("inf"), True])
def test_a_number_that_is_no_name_is_named(tmp_path: Path, value: object) -> None:
    row = {"pair_id": "p", "prompt": "Say.", "chosen": "a", "rejected": "b", "group_id": value}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    (reading,), _ = read(tmp_path / "a.parquet")
    assert reading.pair is None
    assert reading.findings[0].found.startswith("group_id is ")


def test_names_of_columns_match_whatever_their_case_spaces_and_underscores(tmp_path: Path) -> None:
    header = ["Pair ID", "PROMPT", "Paragraph A", "paragraph-b", " Preferred ", "Editor", "Group_Id"]
    assert brief(read(write(tmp_path / "a.csv", spell([header, *ROWS])))[0]) == READ


def test_a_column_that_nobody_reads_is_said_with_the_name_it_may_mean(tmp_path: Path) -> None:
    header = [*HEADER[:6], "grp_id", "comment"]
    remarks = read(write(tmp_path / "a.csv", spell([header, *([*row, "x"] for row in ROWS)])))[1]
    assert "Column 'grp_id' is not read; did you mean group_id?" in remarks
    assert "Column 'comment' is not read." in remarks


def test_a_column_that_first_comes_late_is_read(tmp_path: Path) -> None:
    rows = [{"pair_id": f"p{n}", "prompt": f"Say {n}.", "chosen": "a", "rejected": "b"} for n in range(300)]
    rows[-1]["group_id"] = "g"
    path = write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert brief(read(path)[0])[-1][3] == "g"


def test_rows_without_ids_get_them_from_their_content_in_any_order(tmp_path: Path) -> None:
    rows = [{"prompt": f"Say {n}.", "chosen": "a", "rejected": "b"} for n in (1, 2, 3, 3)]

    def ids(order: Sequence[dict[str, str]]) -> dict[str, str]:
        path = write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in order))
        readings, remarks = read(path)
        assert any("No column pair_id" in remark for remark in remarks)
        return {reading.pair.pair_id: reading.pair.prompt for reading in readings if reading.pair}

    before = ids(rows)
    assert len(before) == 4
    assert sum(name.endswith("-2") for name in before) == 1
    for seed in range(5):
        assert ids(Random(seed).sample(rows, 4)) == before


@pytest.mark.parametrize(
    ("word", "choice"),
    [
        ("a", "first"),
        ("B", "second"),
        ("A.", "first"),
        ("answer A", "first"),
        ("option_b", "second"),
        ("Left", "first"),
        ("right ", "second"),
        (1, "first"),
        (2.0, "second"),
        ("(2)", "second"),
        ("Tie", "tie"),
        ("No preference", "tie"),
        ("0", None),
        (-1, None),
        ("-1", None),
        (-2.0, None),
        ("(-1)", None),
        ("Answer -2", None),
        ("1-", None),
        ("+1", None),
        ("option-1", "first"),
        ("- b", "second"),
        ("maybe", None),
        ("a or b", None),
        (True, None),
        ("ab", None),
        ("paragraph", None),
        (3, None),
    ],
)
def test_words_of_choice_are_a_short_list_and_nothing_else_is_one(word: object, choice: str | None) -> None:
    assert read_choice(word) == choice


def test_an_odd_word_of_choice_is_named_with_its_count_and_its_editor_and_is_no_tie(tmp_path: Path) -> None:
    rows = [
        ["p3", "Say on.", "Seven.", "Eight.", "the second one", "cy", ""],
        [*ROWS[0][:4], "neither", "ann", ""],
    ]
    readings, _ = read(write(tmp_path / "a.csv", spell([HEADER, *ROWS, *rows])))
    (odd,), (tie,) = readings[2].findings, readings[3].findings
    assert odd.rule == "fields_have_their_type"
    assert odd.found.startswith("preferred is 'the second one' (in 1 rows, of cy)")
    assert tie.rule == "preference_is_decided"


@pytest.mark.parametrize(
    "marks", [("0", "1"), ("0.0", "1.0"), ("-1", "1"), ("-2", "2"), ("7", "2"), ("1.5", "1")]
)
def test_where_choices_are_marks_on_a_scale_a_1_or_2_names_no_text(
    tmp_path: Path, marks: tuple[str, str]
) -> None:
    rows = [[*row[:4], choice, *row[5:]] for row, choice in zip(ROWS, marks, strict=True)]
    readings, _ = read(write(tmp_path / "a.csv", spell([HEADER, *rows])))
    assert [reading.pair for reading in readings] == [None, None]
    assert f"beside {marks[0].removesuffix('.0')}, of ben" in readings[1].findings[0].found


@pytest.mark.parametrize(("encoding", "name"), [("cp1252", "Windows-1252"), ("mac_roman", "Mac Roman")])
def test_text_that_is_no_utf_8_is_shown_as_it_was_meant(tmp_path: Path, encoding: str, name: str) -> None:
    rows = [ROWS[0], ["p2", "Say more.", "It’s a café – here.", "Six.", "b", "ben", ""]]
    readings, _ = read(write(tmp_path / "a.csv", spell([HEADER, *rows]), encoding))
    found = readings[1].findings[0].found
    assert "It’s a café" in found
    assert name in found
    assert "CSV UTF-8" in found


def test_leftovers_of_spreadsheets_are_taken_out_and_said(tmp_path: Path) -> None:
    rows = [[*ROWS[0][:2], "One._x000D_\nTwo.", *ROWS[0][3:6], "n/a"], [*ROWS[1][:6], "-"]]
    readings, remarks = read(write(tmp_path / "a.csv", spell([HEADER, *rows])))
    assert brief(readings) == [("p1", "One.\nTwo.", "ann", None), ("p2", "Six.", "ben", None)]
    assert sum("is taken for no group" in remark for remark in remarks) == 2
    assert any("_x000D_" in remark for remark in remarks)


def test_words_that_mean_nobody_name_no_editor_and_no_section(tmp_path: Path) -> None:
    header = [*HEADER, "section"]
    rows = [[*ROWS[0][:5], word, "", word] for word in ("n/a", "-", "None", "#REF!", "ann")]
    readings, remarks = read(write(tmp_path / "a.csv", spell([header, *rows])))
    pairs = [reading.pair for reading in readings]
    assert [pair and (pair.editor, pair.section) for pair in pairs] == [(None, None)] * 4 + [("ann", "ann")]
    assert "editor 'n/a' (1 rows) is taken for no editor; rename it if it is one." in remarks


@pytest.mark.parametrize(
    "error",
    ["#REF!", "#NAME?", "#DIV/0!", "#N/A", "#WERT!", "#NV", "#¡VALOR!", "####", "Err:502", " #NULL! "],
)
def test_a_spreadsheets_error_in_place_of_a_text_is_an_unfilled_field(tmp_path: Path, error: str) -> None:
    path = write(tmp_path / "a.csv", spell([HEADER, [*ROWS[0][:2], error, *ROWS[0][3:]], ROWS[1]]))
    readings, _ = read(path)
    assert brief(readings) == [None, READ[1]]
    (finding,) = readings[0].findings
    assert finding.rule == "required_fields_are_filled"
    assert finding.found == f"chosen is {error.strip()}, a spreadsheet's error"
    prompts = open_prompts(write(tmp_path / "b.csv", spell([["prompt"], [error]])))
    assert [read_prompt(row)[0] for row in prompts.rows] == [None]


@pytest.mark.parametrize("text", ["#1 is best!", "#hashtag", "Is it #REF!?", "# Title", "Error: 5"])
def test_a_text_with_a_number_sign_is_a_text(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "a.csv", spell([HEADER, [*ROWS[0][:2], text, *ROWS[0][3:]]]))
    assert brief(read(path)[0])[0] is not None


def test_the_header_once_more_is_no_row_and_is_said(tmp_path: Path) -> None:
    again = ["\ufeffPair ID", *HEADER[1:]]
    readings, remarks = read(write(tmp_path / "a.csv", spell([HEADER, ROWS[0], again, ROWS[1], HEADER])))
    assert brief(readings) == READ
    assert "Line 3 repeats the header and is not read. So do 1 others." in remarks
    book = write_xlsx(tmp_path / "a.xlsx", {"s": [HEADER, ROWS[0], HEADER, ROWS[1]]})
    assert brief(read(book)[0]) == READ
    prompts = open_prompts(write(tmp_path / "b.csv", "prompt\nWrite two.\nprompt\n"))
    assert [prompt.prompt for prompt, _ in map(read_prompt, prompts.rows) if prompt] == ["Write two."]


def test_a_second_header_in_another_order_is_an_unreadable_row(tmp_path: Path) -> None:
    other = [HEADER[0], HEADER[1], HEADER[3], HEADER[2], *HEADER[4:]]
    readings, _ = read(write(tmp_path / "a.csv", spell([HEADER, ROWS[0], other, ROWS[1]])))
    assert readings[1].findings[0].rule == "rows_are_readable"
    assert "names other columns" in readings[1].findings[0].found


MAPPING = {
    "Nummer": "pair_id",
    "Aufgabe": "prompt",
    "Besser": "chosen",
    "Schlechter": "rejected",
    "Seite": "chosen_shown",
}
MAPPED = [
    ["Nummer", "Aufgabe", "Besser", "Schlechter", "Seite"],
    ["1", "Sag eins, zwei, drei.", "Ein Haus, ein Hof.", "Zwei, drei.", "left"],
]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_header_is_found_by_its_mapped_names(tmp_path: Path, delimiter: str) -> None:
    quoted = delimiter == ","
    text = spell(MAPPED, delimiter) if quoted else "".join(delimiter.join(row) + "\n" for row in MAPPED)
    for path in (write(tmp_path / "a.csv", text), write(tmp_path / "b.csv", f"Paare vom März\n{text}")):
        table = open_pairs(path, MAPPING)
        assert brief([read_pair(row, table.columns) for row in table.rows]) == [
            ("1", "Ein Haus, ein Hof.", None, None)
        ]


def test_a_sheet_is_found_by_its_mapped_names(tmp_path: Path) -> None:
    book = write_xlsx(tmp_path / "a.xlsx", {"Notizen": [["Frag Ann."]], "Paare": MAPPED})
    table = open_pairs(book, MAPPING)
    assert brief([read_pair(row, table.columns) for row in table.rows]) == [
        ("1", "Ein Haus, ein Hof.", None, None)
    ]
    with pytest.raises(InputError, match="no sheet has our columns.*--sheet.*--columns theirs=ours"):
        open_pairs(book, {})


def test_lines_without_an_id_get_one_beside_lines_that_have_one(tmp_path: Path) -> None:
    rows = [
        {"prompt": "Say.", "chosen": "a", "rejected": "b"},
        {"pair_id": "p", "prompt": "Go.", "chosen": "c", "rejected": "d"},
    ]

    def names(*some: dict[str, str]) -> tuple[list[str], tuple[str, ...]]:
        readings, remarks = read(write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in some)))
        return [pair[0] for pair in brief(readings)], remarks

    (alone,), _ = names(rows[0])
    both, remarks = names(*rows)
    assert both == [alone, "p"]
    assert "1 rows have no pair_id: theirs is made from their content." in remarks


def test_a_column_of_the_form_that_is_not_used_is_said_to_be_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,prompt,chosen,rejected,Paragraph A\n1,Say.,a,b,c\n")
    remarks = read(path)[1]
    assert "Column 'Paragraph A' (paragraph_a) is not read, since prompt, chosen, rejected are." in remarks


def test_prompts_are_read_as_pairs_are(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        spell([["Prompt_ID", "Prompt", "note"], ["1", "Write one.", "x"], ["", "", ""]], ";"),
    )
    table = open_prompts(path)
    ((prompt, _),) = [read_prompt(row) for row in table.rows]
    assert prompt is not None
    assert (prompt.prompt_id, prompt.prompt) == ("1", "Write one.")
    assert "Column 'note' is not read." in table.columns.remarks
    only = open_prompts(write(tmp_path / "b.csv", "prompt\nWrite two.\nWrite two.\n"))
    ids = [prompt.prompt_id for prompt, _ in map(read_prompt, only.rows) if prompt]
    assert len(set(ids)) == 2
    with pytest.raises(InputError, match=r"no column prompt.*did you mean prompt by 'promt'"):
        open_prompts(write(tmp_path / "c.csv", "id,promt\n1,Write.\n"))
