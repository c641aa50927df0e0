"""`bluepencil doctor`: one table, one exit code, nothing downloaded."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from stages.cli.app import app
from stages.cli.pipeline import with_overrides
from stages.errors import ModelError, ParamsError
from stages.inference.probe.prompts import PROMPTS
from stages.inference.probe.texts import TEXTS
from stages.sizing import machine
from stages.sizing.estimates import PROBE_ITEMS, PROBE_PROMPT_TOKENS, PROBE_TEXT_TOKENS, Machine
from stages.sizing.lengths import CHARACTERS_PER_TOKEN, TEMPLATE_TOKENS
from stages.sizing.machine import Hardware
from tests.support.pair_factory import make_pair
from tests.support.tiny_models import write_tiny_base

HEAVY = ["torch", "transformers", "trl", "datasets", "great_expectations", "dvc", "statsmodels"]
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
        "probe",
    ]
    assert result["data"]["n_pairs"] == 40
    assert result["fits"] is True


def test_the_table_says_what_the_json_says() -> None:
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 0
    assert "It fits." in done.stdout
    for word in ("reference", "GiB", "GFLOP/s", "40 pairs"):
        assert word in done.stdout


def test_at_80_columns_the_verdict_comes_first_and_the_way_out_under_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    use_size("gpu-80gb-13b")
    done = CliRunner().invoke(app, ["doctor", "--card", "a10-24gb"])
    assert done.exit_code == 1
    text = "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())
    assert text == (ROOT / "tests/golden/doctor_80.txt").read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("command", [["doctor"], ["gate"], ["--help"]])
def test_no_command_that_only_tells_imports_a_heavy_library(command: list[str]) -> None:
    code = f"""
import sys
from stages.cli.app import app
try:
    app({command!r})
except SystemExit:
    pass
print("heavy:", [name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert "heavy: []" in done.stdout, done.stdout + done.stderr


def test_the_probe_is_as_long_as_it_is_counted() -> None:
    texts, prompts = [one.text for one in TEXTS], [one.prompt for one in PROMPTS]
    assert len(texts) == len(prompts) == PROBE_ITEMS
    assert sum(map(len, texts)) / PROBE_ITEMS / CHARACTERS_PER_TOKEN == pytest.approx(
        PROBE_TEXT_TOKENS, abs=1
    )
    n_prompt = sum(map(len, prompts)) / PROBE_ITEMS / CHARACTERS_PER_TOKEN + TEMPLATE_TOKENS
    assert n_prompt == pytest.approx(PROBE_PROMPT_TOKENS, abs=1)


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
