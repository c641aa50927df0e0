"""Reading and writing: equal bytes, whole files or none, errors that name the place."""

import json
import os
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest

from stages.errors import InputError
from stages.files.io import (
    read_json,
    read_jsonl,
    read_parquet,
    read_record,
    replacing,
    replacing_folder,
    write_csv,
    write_json,
    write_jsonl,
    write_parquet,
    write_text,
)
from stages.files.json_text import dump_json
from stages.files.record import Record


class Point(Record):
    x: int
    name: str | None


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": "é"})
    write_json(tmp_path / "b.json", {"a": "é", "b": 1})
    assert (
        (tmp_path / "a.json").read_bytes()
        == (tmp_path / "b.json").read_bytes()
        == b'{\n  "a": "\xc3\xa9",\n  "b": 1\n}\n'
    )


def test_nan_is_not_written() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        dump_json({"a": float("nan")})


def test_rows_survive_jsonl(tmp_path: Path) -> None:
    rows = [Point(x=1, name="line\nbreak \u2028"), Point(x=2, name=None)]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    assert read_jsonl(tmp_path / "rows.jsonl", Point) == rows
    assert (tmp_path / "rows.jsonl").read_bytes().count(b"\n") == 2


def test_a_bad_line_is_named_and_all_are_collected(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"x": 1, "name": null}\n{"x": "one", "name": null}\n{"x": NaN, "name": null}\n{"x": 1\n')
    with pytest.raises(InputError) as error:
        read_jsonl(path, Point)
    assert "3 lines do not fit Point" in str(error.value)
    for place in ("line 2: x:", "line 3: not valid JSON (NaN is not a number)", "line 4: not valid JSON"):
        assert place in str(error.value)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"\xff\xfe", "UTF-8"),
        (b"{", "not valid JSON"),
        (b"[1]", "JSON object"),
        (b"[" * 100_000, "not valid JSON"),
    ],
)
def test_what_is_no_json_object_is_refused(tmp_path: Path, content: bytes, rule: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=rule):
        read_json(tmp_path / "a.json")


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_json(tmp_path / "a.json")
    with pytest.raises(InputError, match="is a folder"):
        read_json(tmp_path)


def test_a_record_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"x": 1, "name": None, "y": 2}))
    with pytest.raises(InputError, match="y: Extra inputs"):
        read_record(tmp_path / "a.json", Point)


def test_a_failure_while_writing_leaves_the_old_file_and_no_scraps(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_failure_while_filling_a_folder_leaves_the_old_folder(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    for content in ("old", "new"):
        with replacing_folder(folder) as temporary:
            (temporary / "a").write_text(content)
    with pytest.raises(RuntimeError), replacing_folder(folder) as temporary:
        (temporary / "a").write_text("half")
        raise RuntimeError
    assert (folder / "a").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_written_files_are_readable_by_others(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        write_text(tmp_path / "a.txt", "x")
        with replacing_folder(tmp_path / "folder") as temporary:
            (temporary / "b").write_text("x")
            (temporary / "b").chmod(0o600)
    finally:
        os.umask(mask)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "folder/b").stat().st_mode & 0o777 == 0o644


def test_a_table_survives_parquet_and_other_bytes_are_refused(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2]})
    write_parquet(tmp_path / "a.parquet", table)
    assert read_parquet(tmp_path / "a.parquet") == table
    (tmp_path / "b.parquet").write_text("PAR1 not really")
    with pytest.raises(InputError, match="Parquet"):
        read_parquet(tmp_path / "b.parquet")


def test_csv_has_a_header_and_unix_line_ends(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ["x", "y"], [[1, "a,b"]])
    assert (tmp_path / "a.csv").read_bytes() == b'x,y\n1,"a,b"\n'


def test_what_a_killed_writer_left_is_cleared_by_the_next(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    (tmp_path / f".rows.json.{dead.pid}.abcd.tmp").write_text("half a r")
    (tmp_path / f".rows.json.{os.getpid()}.abcd.tmp").write_text("of a process that lives")
    (tmp_path / f".other.json.{dead.pid}.abcd.tmp").write_text("of another file")
    write_text(tmp_path / "rows.json", "whole")
    assert {path.name for path in tmp_path.iterdir()} == {
        "rows.json",
        f".rows.json.{os.getpid()}.abcd.tmp",
        f".other.json.{dead.pid}.abcd.tmp",
    }
