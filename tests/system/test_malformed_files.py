"""Every kind of broken file: told as unreadable, or read with every bad row named. Never a traceback."""

import csv
import gzip
import io
import json
import os
import subprocess
import sys
import zipfile
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.data.forms.rows import read_pair
from stages.data.forms.tables import open_pairs
from stages.data.validation import check_pairs, list_violations
from stages.errors import InputError
from tests.support.pair_factory import make_raw, make_settings, make_text


def jsonl(*rows, end="\n"):
    return "".join(json.dumps(row, ensure_ascii=False) + end for row in rows).encode("utf-8", "surrogatepass")


def table(*rows, header=None, **options):
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, **options)
    writer.writerow(header or list(rows[0]))
    writer.writerows([list(row.values()) for row in rows])
    return buffer.getvalue().encode()


def parquet(rows):
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def column_twice():
    sink = io.BytesIO()
    whole = pa.Table.from_pylist([ONE])
    pq.write_table(
        pa.Table.from_arrays([*whole.columns, whole["prompt"]], [*whole.column_names, "chosen"]), sink
    )
    return sink.getvalue()


def in_time_zone(name):
    sink = io.BytesIO()
    moment = pa.array([1], pa.timestamp("us", name))
    pq.write_table(pa.Table.from_pylist([ONE]).append_column("reviewed_at", moment), sink)
    return sink.getvalue()


def zipped(data):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pairs.jsonl", data)
    return sink.getvalue()


def editors(**fields):
    return {
        "id": "e1",
        "prompt": "Say it.",
        "paragraph_a": make_text(1),
        "paragraph_b": make_text(2),
        "preferred": "a",
        **fields,
    }


ONE, TWO, THREE = make_raw(1), make_raw(2), make_raw(3)
GOOD = jsonl(ONE, TWO, THREE)
CIRCLE = [make_raw(n, chosen=make_text(n), rejected=make_text((n + 1) % 3)) for n in range(3)]
HUGE = "word " * 209_716  # a little over 1 MiB
WITHOUT = {name: {key: value for key, value in ONE.items() if key != name} for name in ONE}


class Unreadable(NamedTuple):
    """A file that cannot be used at all, and a word of its message."""

    name: str
    data: bytes
    says: str


UNREADABLE = {
    "empty": Unreadable("a.jsonl", b"", "is empty"),
    "blank lines only": Unreadable("a.jsonl", b"\n\n  \n", "is empty"),
    "empty csv": Unreadable("a.csv", b"", "is empty"),
    "csv with a header only": Unreadable("a.csv", b"pair_id,prompt,chosen,rejected\n", "no rows"),
    "empty parquet file": Unreadable("a.parquet", b"", "Parquet"),
    "parquet without rows": Unreadable("a.parquet", parquet([ONE])[:0] + parquet([]), "no rows"),
    "utf-16 with a mark": Unreadable("a.jsonl", GOOD.decode().encode("utf-16"), "UTF-16"),
    "utf-16 without a mark": Unreadable("a.jsonl", GOOD.decode().encode("utf-16-le"), "UTF-16"),
    "utf-16 csv": Unreadable("a.csv", table(ONE).decode().encode("utf-16"), "UTF-16"),
    "utf-32": Unreadable("a.jsonl", GOOD.decode().encode("utf-32"), "UTF-16"),
    "nul bytes": Unreadable("a.jsonl", b"\0" * 5000, "no text"),
    "a program": Unreadable("a.jsonl", b"\x7fELF" + bytes(range(256)) * 4 + b"\0" * 600, "no text"),
    "gzip": Unreadable("a.jsonl", gzip.compress(GOOD), "gzip"),
    "gzip bomb": Unreadable("a.csv", gzip.compress(b"," * 10_000_000), "gzip"),
    "zip": Unreadable("a.jsonl", zipped(GOOD), "zip archive"),
    "zip named csv": Unreadable("a.csv", zipped(GOOD), "zip archive"),
    "old spreadsheet": Unreadable("a.csv", b"\xd0\xcf\x11\xe0" + b"x" * 600, "spreadsheet"),
    "parquet named jsonl": Unreadable("a.jsonl", parquet([ONE]), "Parquet"),
    "jsonl named parquet": Unreadable("a.parquet", GOOD, "Parquet"),
    "parquet with a column twice": Unreadable("a.parquet", column_twice(), "'chosen' twice"),
    "parquet in an unknown time zone": Unreadable("a.parquet", in_time_zone("Mars/Olympus"), "Parquet"),
    "truncated parquet": Unreadable("a.parquet", parquet([ONE])[:-20], "Parquet"),
    "parquet with broken pages": Unreadable("a.parquet", b"PAR1" + b"\xff" * 400 + parquet([ONE])[404:], "Parquet"),
    "unknown ending": Unreadable("a.docx", GOOD, ".parquet, .xlsx or .ods"),
    "no ending": Unreadable("pairs", GOOD, ".parquet, .xlsx or .ods"),
    "one json list": Unreadable("a.jsonl", json.dumps([ONE, TWO]).encode(), "no row can be read"),
    "indented json": Unreadable("a.jsonl", json.dumps(ONE, indent=2).encode(), "no row can be read"),
    "numbers": Unreadable("a.jsonl", b"1\n2\n", "no row can be read"),
    "html page": Unreadable("a.jsonl", b"<!doctype html><html><body>No such file</body></html>", "no row can be read"),
    "csv named jsonl": Unreadable("a.jsonl", table(ONE), "no row can be read"),
    "jsonl without chosen": Unreadable("a.jsonl", jsonl(WITHOUT["chosen"]), "no column chosen"),
    "jsonl without prompt": Unreadable("a.jsonl", jsonl(WITHOUT["prompt"]), "no column prompt"),
    "text named xlsx": Unreadable("a.xlsx", GOOD, "no readable spreadsheet"),
    "zip named xlsx": Unreadable("a.xlsx", zipped(GOOD), "no readable spreadsheet"),
    "zip bomb named xlsx": Unreadable("a.xlsx", zipped(b"0" * 40_000_000), "would grow to"),
    "half of a gzip file": Unreadable("a.jsonl.gz", gzip.compress(GOOD * 99)[:-20], "no whole gzip file"),
    "gzip bomb named so": Unreadable("a.jsonl.gz", gzip.compress((b"x" * 1_000_000 + b"\n") * 40), "grows to over"),
    "half a json array": Unreadable("a.json", json.dumps([ONE, TWO]).encode()[:-9], "is no JSON"),
    "two columns of one field": Unreadable("a.csv", table({**ONE, "Prompt": "x"}), "are both read as prompt"),
    "csv without rejected": Unreadable("a.csv", table(WITHOUT["rejected"]), "no column rejected"),
    "parquet without prompt": Unreadable("a.parquet", parquet([WITHOUT["prompt"]]), "no column prompt"),
    "column of a like name": Unreadable("a.csv", table(ONE, header=["pair_id", "prompt", "choosen", "rejected"]), "did you mean chosen by 'choosen'"),
    "csv without a header": Unreadable("a.csv", table(ONE).split(b"\r\n", 1)[1], "no rows"),
    "csv with a column twice": Unreadable("a.csv", table(ONE, header=["pair_id", "prompt", "chosen", "chosen"]), "'chosen' twice"),
    "csv of very many columns": Unreadable("a.csv", b"a," * 100_000 + b"\n1\n", "columns"),
    "a line of 17 MiB": Unreadable("a.jsonl", b'{"pair_id": "' + b"x" * 17 * 2**20, "longer than"),
    "a csv cell of 17 MiB": Unreadable("a.csv", b"pair_id,prompt\n" + b"x" * 17 * 2**20, "longer than"),
    "editors' form without a verdict": Unreadable(
        "a.jsonl", jsonl({name: value for name, value in editors().items() if name != "preferred"}), "no column preferred"
    ),
}  # fmt: skip


class BadRows(NamedTuple):
    """A file that can be read, and what is found: (line, rule) of every violation, in order."""

    name: str
    data: bytes
    found: tuple[tuple[int, str], ...]
    n_kept: int


BAD_ROWS = {
    "sound": BadRows("a.jsonl", GOOD, (), 3),
    "byte-order mark": BadRows("a.jsonl", b"\xef\xbb\xbf" + GOOD, (), 3),
    "byte-order mark in csv": BadRows("a.csv", b"\xef\xbb\xbf" + table(ONE, TWO), (), 2),
    "crlf": BadRows("a.jsonl", GOOD.replace(b"\n", b"\r\n"), (), 3),
    "crlf in csv": BadRows("a.csv", table(ONE, TWO, lineterminator="\r\n"), (), 2),
    "no newline at the end": BadRows("a.jsonl", GOOD.rstrip(), (), 3),
    "blank lines between": BadRows("a.jsonl", GOOD.replace(b"\n", b"\n\n"), (), 3),
    "upper-case ending": BadRows("A.JSONL", GOOD, (), 3),
    "truncated last row": BadRows("a.jsonl", GOOD[:-30], ((3, "rows_are_readable"),), 2),
    "truncated first row": BadRows("a.jsonl", GOOD[30:], ((1, "rows_are_readable"),), 2),
    "a line that is no json": BadRows("a.jsonl", GOOD + b"oops\n", ((4, "rows_are_readable"),), 3),
    "a line that is a list": BadRows("a.jsonl", GOOD + b"[1, 2]\n", ((4, "rows_are_readable"),), 3),
    "a line that is null": BadRows("a.jsonl", GOOD + b"null\n", ((4, "rows_are_readable"),), 3),
    "deeply nested json": BadRows("a.jsonl", GOOD + b"[" * 100_000 + b"\n", ((4, "rows_are_readable"),), 3),
    "a number that is none": BadRows("a.jsonl", GOOD + b'{"pair_id": NaN}\n', ((4, "rows_are_readable"),), 3),
    "a very long number": BadRows("a.jsonl", GOOD + b'{"pair_id": ' + b"9" * 5000 + b"}\n", ((4, "rows_are_readable"),), 3),
    "nul byte in a row": BadRows("a.jsonl", GOOD + b'{"pair_id": "a\0b"}\n', ((4, "rows_are_readable"),), 3),
    "latin-1 row": BadRows("a.jsonl", GOOD + '{"pair_id": "café"}\n'.encode("latin-1"), ((4, "rows_are_readable"),), 3),
    "latin-1 csv row": BadRows("a.csv", table(ONE) + "4,é,a,b\r\n".encode("latin-1"), ((3, "rows_are_readable"),), 1),
    "a key twice": BadRows("a.jsonl", GOOD + b'{"pair_id": "x", "chosen": "a", "chosen": "b"}\n', ((4, "rows_are_readable"),), 3),
    "a number instead of a side": BadRows("a.jsonl", jsonl(make_raw(1, rejected=1e999), TWO).replace(b"Infinity", b"1e999"), ((1, "rows_are_readable"),), 1),
    "half a surrogate": BadRows("a.jsonl", GOOD + json.dumps(make_raw(4, chosen="Cut \ud83d in two, alas, right here.")).encode() + b"\n", ((4, "rows_are_readable"),), 3),
    "csv row with too few cells": BadRows("a.csv", table(ONE) + b"only,two\r\n", ((3, "rows_are_readable"),), 1),
    "csv row with too many cells": BadRows("a.csv", table(ONE) + b"1,2,3,4,5\r\n", ((3, "rows_are_readable"),), 1),
    "csv with a quote that never ends": BadRows("a.csv", table(ONE) + b'2,"never ends\r\n', ((3, "rows_are_readable"),), 1),
    "csv with text after a quote": BadRows("a.csv", table(ONE) + b'2,"a"b,c,d\r\n', ((3, "rows_are_readable"),), 1),
    "csv cell with newlines": BadRows("a.csv", table(make_raw(1, prompt="Two\nlines."), TWO) + b"x\r\n", ((5, "rows_are_readable"),), 2),
    "csv bomb of commas": BadRows("a.csv", table(ONE) + b"," * 3_000_000 + b"\r\n", (), 1),
    "later row without chosen": BadRows("a.jsonl", jsonl(TWO, WITHOUT["chosen"]), ((2, "required_fields_are_filled"),), 1),
    "empty side": BadRows("a.jsonl", jsonl(make_raw(1, rejected=""), TWO), ((1, "required_fields_are_filled"),), 1),
    "null side": BadRows("a.jsonl", jsonl(make_raw(1, rejected=None), TWO), ((1, "required_fields_are_filled"),), 1),
    "white space side": BadRows("a.jsonl", jsonl(make_raw(1, chosen=" \t\u00a0\n"), TWO), ((1, "required_fields_are_filled"),), 1),
    "empty csv cells": BadRows("a.csv", table(ONE) + b",,,\r\n", (), 1),
    "empty id": BadRows("a.jsonl", jsonl(make_raw(1, pair_id=""), TWO), ((1, "required_fields_are_filled"),), 1),
    "mixed types": BadRows("a.jsonl", jsonl(make_raw(1, chosen=12), make_raw(2, rejected={"a": 1}), THREE), ((1, "fields_have_their_type"), (2, "fields_have_their_type")), 1),
    "messages instead of text": BadRows("a.jsonl", jsonl(make_raw(1, chosen=[{"role": "assistant", "content": 3}]), TWO), ((1, "fields_have_their_type"),), 1),
    "true as id": BadRows("a.jsonl", jsonl(make_raw(1, pair_id=True), TWO), ((1, "fields_have_their_type"),), 1),
    "numbers in parquet": BadRows("a.parquet", parquet([make_raw(1, chosen=1.5), make_raw(2, chosen=2.5)]), ((1, "fields_have_their_type"), (2, "fields_have_their_type")), 0),
    "sound parquet": BadRows("a.parquet", parquet([ONE, TWO]), (), 2),
    "nulls in parquet": BadRows("a.parquet", parquet([ONE, make_raw(2, prompt=None)]), ((2, "required_fields_are_filled"),), 1),
    "ids twice": BadRows("a.jsonl", jsonl(ONE, make_raw(2, pair_id="p0001"), THREE), ((1, "pair_ids_are_unique"), (2, "pair_ids_are_unique")), 1),
    "ids twice, as text and as number": BadRows("a.jsonl", jsonl(make_raw(1, pair_id=7), make_raw(2, pair_id="7")), ((1, "pair_ids_are_unique"), (2, "pair_ids_are_unique")), 0),
    "identical sides": BadRows("a.jsonl", jsonl(make_raw(1, chosen=make_text(55), rejected=make_text(55)), TWO), ((1, "completions_differ"),), 1),
    "sides that differ in case and space": BadRows("a.jsonl", jsonl(make_raw(1, chosen=make_text(55), rejected=make_text(55).upper() + "  "), TWO), ((1, "completions_differ_in_words"),), 1),
    "reversed pair": BadRows("a.jsonl", jsonl(ONE, make_raw(2, chosen=ONE["rejected"], rejected=ONE["chosen"])), ((1, "labels_do_not_conflict"), (1, "pairs_are_not_near_duplicates"), (2, "labels_do_not_conflict"), (2, "pairs_are_not_near_duplicates")), 0),
    "three-cycle": BadRows("a.jsonl", jsonl(*CIRCLE), tuple((line, rule) for line in (1, 2, 3) for rule in ("labels_have_no_cycle", "pairs_are_not_near_duplicates")), 0),
    "row twice": BadRows("a.jsonl", jsonl(ONE, {**ONE, "pair_id": "again"}), ((2, "rows_are_unique"),), 1),
    "html in a side": BadRows("a.jsonl", jsonl(make_raw(1, chosen="<script>alert(1)</script> is what this one says."), TWO), ((1, "texts_hold_no_markup"),), 1),
    "formula in a cell": BadRows("a.csv", table(make_raw(1, chosen='=HYPERLINK("http://x","y") said the cell in the first row.'), TWO), ((1 + 1, "texts_are_no_formulas"),), 1),
    "command in a cell": BadRows("a.csv", table(make_raw(1, chosen="@SUM(1+9)*cmd|' /C calc'!A0 said the cell in the first row."), TWO), ((1 + 1, "texts_are_no_formulas"),), 1),
    "a cell of 1 MiB": BadRows("a.jsonl", jsonl(make_raw(1, chosen=HUGE + "."), TWO), ((1, "word_counts_are_within_limits"),), 1),
    "a csv cell of 1 MiB": BadRows("a.csv", table(make_raw(1, chosen=HUGE + "."), TWO), ((2, "word_counts_are_within_limits"),), 1),
    "one word of 1 MiB": BadRows("a.jsonl", jsonl(make_raw(1, chosen="x" * 2**20 + "."), TWO), ((1, "word_counts_are_within_limits"),), 1),
    "one word": BadRows("a.jsonl", jsonl(make_raw(1, chosen="Yes."), TWO), ((1, "word_counts_are_within_limits"),), 1),
    "mojibake": BadRows("a.jsonl", jsonl(make_raw(1, chosen="The club’s new hall.".encode().decode("cp1252") + " Two more."), TWO), ((1, "text_encoding_is_sound"),), 1),
    "control characters": BadRows("a.jsonl", jsonl(make_raw(1, chosen="A bell \x07 rings here in the hall."), TWO), ((1, "text_encoding_is_sound"),), 1),
    "escaped nul": BadRows("a.jsonl", jsonl(make_raw(1, chosen="A nul \x00 stands here in the hall."), TWO), ((1, "text_encoding_is_sound"),), 1),
    "cut off": BadRows("a.jsonl", jsonl(make_raw(1, chosen="This one was cut off in the"), TWO), ((1, "completions_end_a_sentence"),), 1),
    "tie": BadRows("a.jsonl", jsonl(editors(preferred="tie"), editors(id="e2", paragraph_a=make_text(7), paragraph_b=make_text(8))), ((1, "preference_is_decided"),), 1),
    "verdict missing": BadRows("a.csv", table(editors(preferred="")), ((2, "required_fields_are_filled"),), 0),
    "verdict and texts missing": BadRows("a.jsonl", jsonl(editors(preferred="?", paragraph_b="")), ((1, "fields_have_their_type"), (1, "required_fields_are_filled")), 0),
    "half a surrogate in a column's name": BadRows("a.jsonl", GOOD + json.dumps({**ONE, "\ud83d": 1}).encode() + b"\n", ((4, "rows_are_readable"),), 3),
    "extra columns": BadRows("a.csv", table({**ONE, "licence": "CC0", "source": "x"}), (), 1),
}  # fmt: skip


def test_there_are_enough_of_them():
    assert len(UNREADABLE) + len(BAD_ROWS) >= 60


@pytest.mark.parametrize("case", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_unreadable_file_is_said_to_be(tmp_path, case):
    path = tmp_path / case.name
    path.write_bytes(case.data)
    with pytest.raises(InputError) as caught:
        found = open_pairs(path, {})
        check_pairs(found.rows, found.columns, make_settings())
    assert case.says in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("case", BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_every_bad_row_is_named_and_none_is_lost(tmp_path, case):
    path = tmp_path / case.name
    path.write_bytes(case.data)
    found = open_pairs(path, {})
    checked = check_pairs(found.rows, found.columns, make_settings())
    violations = list(list_violations(checked.rows, make_settings().rules))
    assert tuple((one.line, one.rule) for one in violations) == case.found
    assert int(checked.rows.kept.sum()) == case.n_kept
    assert checked.rows.n_rows == len(list(found.rows))
    "".join(found.columns.extra).encode()  # the page names them
    for one in violations:
        one.model_dump_json().encode("utf-8")


def test_a_missing_file_and_a_folder_are_said_to_be(tmp_path):
    for path, says in ((tmp_path / "none.jsonl", "no such file"), (tmp_path, "is a folder")):
        with pytest.raises(InputError, match=says):
            open_pairs(path, {})


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({"better": "chosen"}, "'better' is mapped but not in the file"),
        ({"prompt": "nonsense"}, "'nonsense' is no field of ours"),
        ({"pair_id": "chosen"}, "'chosen' is mapped to and in the file"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(tmp_path, mapping, says):
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD)
    with pytest.raises(InputError, match=says):
        open_pairs(path, mapping)


def test_other_names_are_mapped(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(table(ONE, header=["no", "prompt", "better", "worse"]))
    found = open_pairs(path, {"no": "pair_id", "better": "chosen", "worse": "rejected"})
    assert check_pairs(found.rows, found.columns, make_settings()).rows.kept.tolist() == [True]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user"
)
def test_a_file_of_someone_else_is_said_to_be(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD)
    path.chmod(0o600)
    for folder in (tmp_path, *tmp_path.parents):
        if folder != Path(folder.anchor) and folder.stat().st_uid == 0:
            folder.chmod(folder.stat().st_mode | 0o711)
    program = (
        "import os, sys; from pathlib import Path; from stages.data.forms.tables import open_pairs; "
        "from stages.errors import InputError\n"
        "import stages.data.components\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try: open_pairs(Path(sys.argv[1]), {})\n"
        "except InputError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert "cannot be read (Permission denied)" in done.stdout


def test_dates_and_empty_numbers_of_a_parquet_file_are_read(tmp_path):
    moments = pa.array([datetime(2026, 3, 1, 9, 30), None], pa.timestamp("ns"))
    table_ = pa.Table.from_pylist([ONE, TWO]).append_column("reviewed_at", moments)
    table_ = table_.append_column("editor", pa.array([float("nan"), float("nan")]))
    path = tmp_path / "a.parquet"
    pq.write_table(table_, path)
    found = open_pairs(path, {})
    assert check_pairs(found.rows, found.columns, make_settings()).rows.kept.all()
    pairs = [read_pair(row, found.columns).pair for row in found.rows]
    assert [pair.reviewed_at for pair in pairs] == ["2026-03-01T09:30:00", None]
    assert [pair.editor for pair in pairs] == [None, None]


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    path = tmp_path / "a.jsonl"
    os.mkfifo(path)
    with pytest.raises(InputError, match="is a pipe or a device"):
        open_pairs(path, {})
