import sys
from io import StringIO

import pytest

from stages.run.progress import track, waiting


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_says_what_it_waits_for_and_the_result_stays_apart(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with waiting("comparing"):
        pass
    assert "comparing ..." in sys.stderr.getvalue()
    assert capsys.readouterr().out == ""


def test_a_log_gets_no_word_of_waiting_and_one_line_of_counted_work(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with waiting("comparing"):
        assert list(track("abc", total=3, label="verify", unit="files")) == ["a", "b", "c"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("verify: 3/3 files, ")
