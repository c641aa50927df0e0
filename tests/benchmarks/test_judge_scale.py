"""The benchmark of judging runs; its numbers are nobody's promise."""

import re
from pathlib import Path

import pytest

from benchmarks import judge_scale
from benchmarks.calibrate_capability import SUBJECT_SIZES
from benchmarks.processes import run_measured


@pytest.mark.slow
def test_the_smallest_sizes_go_through_the_real_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["judge_scale", "--smoke"])
    judge_scale.main()
    lines = capsys.readouterr().out.splitlines()
    commands = [re.sub(r" {2,}.*", "", re.sub(r"^.*(questions|editors) +", "", line)) for line in lines]
    assert commands[:4] == ["capability", "blind", "study rehearse", "winrate"]
    assert "largest ballot page" in lines[4]


def test_the_invented_answers_have_the_full_set_s_subjects() -> None:
    assert sum(SUBJECT_SIZES) == judge_scale.N_QUESTIONS[-1]


def test_a_command_that_fails_ends_the_benchmark(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="false ended with 1"):
        run_measured(["false"], cwd=tmp_path)


def test_memory_is_the_command_s_own(tmp_path: Path) -> None:
    small = run_measured(["python3", "-c", "pass"], cwd=tmp_path)
    large = run_measured(["python3", "-c", "len(bytearray(200_000_000))"], cwd=tmp_path)
    assert 180e6 < large.peak_bytes - small.peak_bytes < 260e6
