import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stages.cli.data import app
from stages.errors import InputError
from tests.support.pair_factory import make_raw, write_rows

REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def in_repository(monkeypatch):
    monkeypatch.chdir(REPOSITORY)


def check(path, *options):
    return CliRunner().invoke(app, ["check", str(path), *options])


def sound(n=40, **fields):
    return [make_raw(number, **fields) for number in range(n)]


def test_fit_pairs_exit_0_with_a_line_per_rule(tmp_path):
    done = check(write_rows(tmp_path / "a.jsonl", sound()))
    assert done.exit_code == 0
    assert "40 rows, 40 kept, 0 set aside: fit to learn from" in done.output
    assert "labels_do_not_conflict" in done.output
    assert "0 pairs of texts judged both ways, 0 circles" in done.output


def test_pairs_that_break_a_rule_exit_1_and_json_says_which(tmp_path):
    first = make_raw(1)
    reversed_pairs = [make_raw(90, chosen=first["rejected"], rejected=first["chosen"])] * 2
    reversed_pairs[1] = {**reversed_pairs[1], "pair_id": "again"}
    done = check(write_rows(tmp_path / "a.jsonl", [*sound(), *reversed_pairs]), "--json")
    found = json.loads(done.output)
    assert done.exit_code == 1
    assert (found["n_rows"], found["n_kept"], found["n_set_aside"], found["ok"]) == (42, 39, 3, False)
    counts = {rule["rule"]: (rule["severity"], rule["n_violations"]) for rule in found["rules"]}
    assert counts["labels_do_not_conflict"] == ("error", 3)
    assert counts["rows_are_unique"] == ("error", 1)


def test_columns_are_mapped_and_a_bad_mapping_is_a_usage_error(tmp_path):
    rows = [
        {("better" if name == "chosen" else name): value for name, value in row.items()} for row in sound()
    ]
    path = write_rows(tmp_path / "a.jsonl", rows)
    with pytest.raises(InputError, match="no column chosen"):
        check(path).exit_code and (_ for _ in ()).throw(check(path).exception)
    assert check(path, "--columns", "better=chosen").exit_code == 0
    assert check(path, "--columns", "better").exit_code == 2


def test_no_pair_kept_exits_1(tmp_path):
    done = check(write_rows(tmp_path / "a.jsonl", [make_raw(1, chosen="")]))
    assert done.exit_code == 1
    assert "not fit" in done.output


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "stages", *arguments], capture_output=True, text=True, cwd=REPOSITORY
    )


def test_what_cannot_be_read_exits_2_without_a_traceback(tmp_path):
    done = run("data", "check", str(tmp_path / "none.jsonl"))
    assert done.returncode == 2
    assert "no such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_imports_no_heavy_library():
    program = (
        "import sys; import stages.cli.app; "
        "print(sorted({'torch', 'great_expectations', 'pandas', 'sklearn', 'scipy', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_check_imports_no_torch(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", sound())
    program = (
        "import sys; from stages.cli.data import app\n"
        f"try: app(['check', {str(path)!r}])\n"
        "except SystemExit as end: print(end.code)\n"
        "print('torch' in sys.modules, 'great_expectations' in sys.modules)"
    )
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY, check=True
    )
    assert done.stdout.splitlines()[-2:] == ["0", "False True"]
    assert time.monotonic() - start < 60  # a few seconds on an idle machine
