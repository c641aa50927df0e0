import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stages.cli.app import main
from stages.cli.data import app
from stages.data.checking import judge, read_settings
from stages.data.great_expectations import confirm_results, derive_frame
from stages.errors import InputError
from stages.run.params import load_params
from tests.support.pair_factory import check_raw, make_raw, write_rows

REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def in_repository(monkeypatch):
    monkeypatch.chdir(REPOSITORY)


def check(path, *options, columns=None):
    return CliRunner(env={"COLUMNS": columns}).invoke(app, ["check", str(path), *options])


def sound(n=40, **fields):
    return [make_raw(number, **fields) for number in range(n)]


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("params.yaml", "lies outside of data/kept/"),
        ("data/kept/sub/split.jsonl", "lies outside of data/kept/"),
        ("data/kept/votes.jsonl", "is no kept split, so it is not overwritten"),
    ],
)
def test_data_keep_overwrites_no_other_file(tmp_path, monkeypatch, place, says):
    monkeypatch.chdir(tmp_path)
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    Path(place).write_text('{"vote": "a"}\n', encoding="utf-8")
    done = CliRunner().invoke(app, ["keep", place])
    assert says in str(done.exception)
    assert Path(place).read_text(encoding="utf-8") == '{"vote": "a"}\n'


def test_fit_pairs_exit_0_and_the_first_line_says_so(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", sound())
    done = check(path)
    assert done.exit_code == 0
    first, blank, holding, ceiling, remark, *_ = done.output.splitlines()
    assert first == f"{path}: fit to learn from: 40 rows, 40 kept, 0 set aside"
    assert (blank, holding) == ("", "20 rules hold")
    assert ceiling.startswith("How far a perfect reader could agree with these labels is unknown: no two")
    assert remark.startswith("! Of 40 pairs, split.n_holdout 300")


def spoiled(tmp_path):
    """Seven rows without a chosen text, one with a control character, and a column that nobody reads."""
    bad = [make_raw(number, chosen="", colour="red") for number in range(60, 67)]
    return write_rows(
        tmp_path / "a.jsonl", [*sound(), *bad, make_raw(70, rejected=make_raw(3)["chosen"] + "\x07")]
    )


def test_a_broken_rule_shows_its_first_lines_the_value_and_the_way_out(tmp_path):
    done = check(spoiled(tmp_path))
    assert done.exit_code == 1
    assert done.output.splitlines()[0].endswith("NOT fit to learn from: 48 rows, 40 kept, 8 set aside")
    assert "required_fields_are_filled: ERROR, more than allowed" in done.output
    assert "    line 41, pair p0060: chosen is empty" in done.output
    assert "line 46" not in done.output
    assert "and 2 more; --all shows every line" in done.output
    assert "  way out: fill the field, or take the row out" in done.output
    assert "text_encoding_is_sound: within what is allowed" in done.output
    assert " rules hold" in done.output
    assert "! Column 'colour' is not read." in done.output
    assert max(map(len, check(spoiled(tmp_path), columns="60").output.splitlines()[1:])) == 60


def test_all_shows_every_line_and_json_holds_the_same_findings(tmp_path):
    path = spoiled(tmp_path)
    assert all(f"line {line}, pair" in check(path, "--all").output for line in range(41, 49))
    rules = {rule["rule"]: rule for rule in json.loads(check(path, "--json").output)["rules"]}
    empty = rules["required_fields_are_filled"]
    assert [one["line"] for one in empty["violations"]] == [41, 42, 43, 44, 45]
    assert empty["violations"][0] == {"line": 41, "pair_id": "p0060", "found": "chosen is empty"}
    assert (empty["passed"], empty["remedy"]) == (False, "fill the field, or take the row out")
    whole = json.loads(check(path, "--json", "--all").output)["rules"]
    assert {len(rule["violations"]) for rule in whole if rule["rule"] == "required_fields_are_filled"} == {7}


@pytest.mark.parametrize("n_bad", [0, 1, 2])
def test_great_expectations_finds_the_same_counts_and_verdicts(n_bad, monkeypatch):
    # 1 of 50 is exactly the allowed 2 %; every rule is judged, with and without rows that break it
    raws = [make_raw(number) for number in range(50 - n_bad)]
    raws += [make_raw(number, chosen="", reviewed_at="") for number in range(90, 90 + n_bad)]
    settings = read_settings(load_params())
    checked = check_raw(raws, rules=settings.rules)
    confirm_results("pairs", derive_frame(checked), judge(checked.rows, settings), settings)
    wrong = [one._replace(n_violations=one.n_violations + 1) for one in judge(checked.rows, settings)[:1]]
    with pytest.raises(RuntimeError, match="rows_are_readable"):
        confirm_results("pairs", derive_frame(checked), wrong, settings)


def test_a_crash_is_not_the_exit_code_of_a_broken_rule(monkeypatch, capsys):
    monkeypatch.setattr("stages.cli.app.app", lambda: {}["a bug"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 70
    assert "KeyError: 'a bug'" in capsys.readouterr().err


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
    assert counts["rows_are_unique"] == ("warning", 1)


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
    assert "NOT fit" in done.output


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


def test_a_check_imports_neither_torch_nor_great_expectations(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", sound())
    program = (
        "import sys; from stages.cli.data import app\n"
        f"try: app(['check', {str(path)!r}])\n"
        "except SystemExit as end: print(end.code)\n"
        "print(sorted({'torch', 'great_expectations', 'pandas', 'sklearn', 'transformers'} & set(sys.modules)))"
    )
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY, check=True
    )
    assert done.stdout.splitlines()[-2:] == ["0", "[]"]
    assert time.monotonic() - start < 60  # a few seconds on an idle machine
