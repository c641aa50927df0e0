"""The GPU benchmark at its smallest, on whatever device is here."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks import gpu
from stages.errors import ParamsError

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the parameters; where the figures go."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    monkeypatch.setenv("BENCH_GPU", "gpu.json")
    return tmp_path / "gpu.json"


@pytest.mark.slow
def test_parts_add_themselves_and_a_failure_stops_none(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> dict[str, object]:
        raise RuntimeError("no such kernel")

    monkeypatch.setitem(gpu.read_parts(), "long_rows", fails)
    monkeypatch.setenv("BENCH_ARMS", "batches of 8")
    monkeypatch.setattr("sys.argv", ["gpu", "--tiny", "long_rows", "training"])
    gpu.main()
    monkeypatch.setattr("sys.argv", ["gpu", "--tiny", "rates"])
    gpu.main()

    found = json.loads(results.read_text())
    assert found["long_rows"]["error"] == "RuntimeError: no such kernel"
    assert found["rates"]["tflops"] > 0
    arms = found["training"]["arms"]
    assert {"ours, batches of 8", "TRL, best flags, batches of 8"} <= set(arms)
    for name in ("ours, batches of 8", "TRL, best flags, batches of 8"):
        assert arms[name]["seconds_per_pair"] > 0
        assert arms[name]["losses"][0] == pytest.approx(0.6931, abs=1e-3)


def test_a_trial_on_a_tiny_model_writes_over_no_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENCH_GPU", raising=False)
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    monkeypatch.setattr("sys.argv", ["gpu", "--tiny", "rates"])
    gpu.main()
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize("arguments", [[], ["everything"]])
def test_a_part_that_is_none_is_refused(
    results: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["gpu", *arguments])
    with pytest.raises(ParamsError, match="rates, training, long_rows, sizes, mmlu"):
        gpu.main()
    assert not results.exists()
