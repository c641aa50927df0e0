"""`bluepencil doctor`: one table, one exit code, nothing downloaded."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from stages.cli.app import app
from stages.cli.pipeline import with_overrides
from stages.errors import ModelError, ParamsError
from stages.sizing import machine
from stages.sizing.estimates import Machine
from stages.sizing.machine import Hardware
from tests.support.pair_factory import make_pair
from tests.support.tiny_models import write_tiny_base

ROOT = Path(__file__).parent.parent.parent
CARD_OF = {
    "gpu": "a100-80gb", "gpu-24gb": "a10-24gb", "gpu-80gb-13b": "a100-80gb", "gpu-8x80gb-full": "a100-80gb",
}  # fmt: skip


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped parameters and 40 pairs; a machine of known speed, so that nothing is measured."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(
        machine,
        "look_at_hardware",
        lambda _runtime: Hardware(Machine(16 * 2**30, 1e11, 1e10), "two cores", 1),
    )
    monkeypatch.setattr(machine, "absent_packages", lambda _names: [])
    shutil.copytree(ROOT / "sizes", tmp_path / "sizes")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "data/sample").mkdir(parents=True)
    pairs = "".join(make_pair(number).model_dump_json() + "\n" for number in range(40))
    (tmp_path / "data/sample/pairs.jsonl").write_text(pairs)
    write_tiny_base(tmp_path / "tiny")
    set_params(base_model={"source": "path", "path": "tiny"})
    return tmp_path


def set_params(**sections: dict[str, Any]) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())
    for section, values in sections.items():
        params[section] |= values
    Path("params.yaml").write_text(yaml.safe_dump(params))


def use_size(name: str) -> None:
    overrides = (ROOT / f"sizes/{name}.yaml").read_text()
    Path("params.yaml").write_text(with_overrides(Path("params.yaml").read_text(), overrides, place=name))


def run_doctor(*arguments: str) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(app, ["doctor", "--json", *arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, json.loads(done.stdout)


def test_a_tiny_model_fits_and_every_stage_has_its_row() -> None:
    code, result = run_doctor()
    assert code == 0
    assert [stage["stage"] for stage in result["stages"]] == [
        "reference",
        "train",
        "holdout",
        "generate",
        "mmlu",
    ]
    assert result["data"]["n_pairs"] == 40
    assert result["fits"] is True


def test_the_table_says_what_the_json_says() -> None:
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 0
    assert "It fits." in done.stdout
    for word in ("reference", "GiB", "GFLOP/s", "40 pairs"):
        assert word in done.stdout


@pytest.mark.parametrize("name", sorted(CARD_OF))
def test_every_gpu_size_fits_the_card_it_is_for(name: str) -> None:
    use_size(name)
    code, result = run_doctor("--card", CARD_OF[name])
    assert (code, result["findings"]) == (0, [])
    assert result["model"]["shape_from"] == "the table of known models"


def test_a_size_for_a_larger_card_says_what_to_change() -> None:
    use_size("gpu-80gb-13b")
    code, result = run_doctor("--card", "a10-24gb")
    assert code == 1
    assert {finding["place"] for finding in result["findings"]} >= {"reference", "train"}
    assert "runtime.quantization nf4" in result["findings"][0]["way_out"]


def test_a_missing_device_package_or_disk_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    use_size("gpu-24gb")
    monkeypatch.setattr(machine, "look_at_hardware", lambda _runtime: None)
    monkeypatch.setattr(machine, "count_cards", lambda: 0)
    monkeypatch.setattr(machine, "absent_packages", lambda names: [name for name in names if "bits" in name])
    monkeypatch.setattr(machine, "free_disk", lambda _path: 2**30)
    code, result = run_doctor()
    assert code == 1
    assert [finding["place"] for finding in result["findings"]] == ["packages", "device", "disk"]
    assert "bitsandbytes" in result["findings"][0]["problem"]


def test_an_unknown_model_says_which_file_is_needed() -> None:
    use_size("gpu")
    set_params(base_model={"repo_id": "someone/unknown"})
    with pytest.raises(ModelError, match="hf download someone/unknown config.json --revision a09a"):
        run_doctor()


def test_an_unknown_card_is_refused() -> None:
    with pytest.raises(ParamsError, match="no such card; there are a10-24gb"):
        run_doctor("--card", "abacus")
