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
from stages.sizing.lengths import CHARACTERS_PER_TOKEN, TEMPLATE_TOKENS
from stages.sizing.machine import Cards, Hardware
from stages.sizing.memory import PROBE_ITEMS, PROBE_PROMPT_TOKENS, PROBE_TEXT_TOKENS, Machine
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
        lambda _runtime, n_used: Hardware(Machine(16 * 2**30, 1e11, 1e10), "two cores", 1),
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
    monkeypatch.setattr(machine, "look_at_hardware", lambda _runtime, n_used: None)
    monkeypatch.setattr(machine, "why_no_cards", lambda: "the driver shows no card")
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


def test_every_size_on_every_card_that_is_known_says_what_it_said() -> None:
    """A golden table: does it fit, the largest stage's memory, all the time, and the first way out."""
    lines = []
    for file in sorted((ROOT / "sizes").glob("gpu*.yaml")):
        shutil.copy(ROOT / "params.yaml", "params.yaml")
        use_size(file.stem)
        set_params(split={"n_holdout": 10, "n_selection": 10})
        for card in machine.CARDS:
            code, result = run_doctor("--card", card)
            peak = max(stage["memory_bytes"] for stage in result["stages"]) / 2**30
            verdict = "does not fit" if code else "fits"
            lines.append(
                f"{file.stem:16} {card:13} {verdict:13}{peak:6.1f} GiB {result['seconds'] / 3600:5.1f} h"
            )
            lines += [f"    {found['place']}: {found['way_out']}" for found in result["findings"][:1]]
    table = (ROOT / "tests/golden/doctor_sizes.txt").read_text(encoding="utf-8")
    assert "\n".join(lines) + "\n" == table


def test_what_a_training_step_keeps_depends_on_dropout_dora_and_the_optimizer() -> None:
    def training_bytes(**changes: Any) -> float:
        shutil.copy(ROOT / "params.yaml", "params.yaml")
        use_size("gpu")
        set_params(train=changes)
        return run_doctor("--card", "h200-141gb")[1]["stages"][1]["memory_bytes"]

    usual = training_bytes()
    assert training_bytes(lora_dropout=0.1) > usual
    assert training_bytes(use_dora=True) > usual
    assert training_bytes(optim="adamw_bnb_8bit") < usual
    assert training_bytes(optim="sgd") < training_bytes(optim="adamw_bnb_8bit")


def test_a_curves_run_trains_on_fewer_pairs_than_its_reference_scores() -> None:
    use_size("gpu")
    set_params(split={"n_holdout": 10, "n_selection": 10})
    whole = {stage["stage"]: stage["seconds"] for stage in run_doctor("--card", "h100-80gb")[1]["stages"]}
    set_params(train={"n_pairs": 5})
    part = {stage["stage"]: stage["seconds"] for stage in run_doctor("--card", "h100-80gb")[1]["stages"]}
    assert part["train"] == pytest.approx(whole["train"] * 5 / 20)
    assert part["reference"] == whole["reference"]


def test_eight_cards_score_in_an_eighth_of_the_time() -> None:
    use_size("gpu")
    one = {stage["stage"]: stage for stage in run_doctor("--card", "h100-80gb")[1]["stages"]}
    set_params(processes={"accelerate_config": "sizes/accelerate/ddp.yaml"})
    eight = {stage["stage"]: stage for stage in run_doctor("--card", "h100-80gb")[1]["stages"]}
    for stage in ("reference", "holdout", "mmlu"):
        assert eight[stage]["seconds"] == pytest.approx(one[stage]["seconds"] / 8)
        assert eight[stage]["memory_bytes"] == one[stage]["memory_bytes"]  # each holds the whole model


def test_idle_cards_are_remarked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    use_size("gpu")
    eight = Hardware(Machine(79 * 2**30, 1e14, 1e12), "H100", 8)
    monkeypatch.setattr(machine, "look_at_hardware", lambda _runtime, n_used: eight)
    monkeypatch.setattr(machine, "why_no_cards", lambda: None)
    monkeypatch.setattr(machine, "count_cards", lambda: Cards(8, 1))
    monkeypatch.setattr(machine, "has_bfloat16", lambda: True)
    monkeypatch.setattr(machine, "free_disk", lambda _path: 2**40)
    code, result = run_doctor()
    assert code == 0
    assert result["notes"] == [
        "8 cards are here, and processes.accelerate_config uses 1 of them: sizes/accelerate/ddp.yaml uses more"
    ]
    monkeypatch.setattr(machine, "count_cards", lambda: Cards(8, 2))
    set_params(processes={"accelerate_config": "sizes/accelerate/ddp.yaml"})
    assert "2 kinds" in run_doctor()[1]["findings"][0]["problem"]
    monkeypatch.setattr(machine, "count_cards", lambda: Cards(2, 1))
    assert "wants 8 processes, 2 CUDA devices are here" in run_doctor()[1]["findings"][0]["problem"]


def test_pairs_longer_than_the_limit_are_found_before_any_download() -> None:
    set_params(rows={"max_length": 40})
    code, result = run_doctor()
    assert code == 1
    (finding,) = result["findings"]
    assert "40 of 40 pairs are longer than rows.max_length 40" in finding["problem"]
    assert finding["way_out"] == "set rows.max_length 256, or rows.too_long set_aside"
    set_params(rows={"too_long": "set_aside"})
    code, result = run_doctor()
    assert code == 0
    assert "they are set aside" in result["notes"][0]


def test_the_price_of_an_hour_gives_the_money() -> None:
    result = run_doctor("--price", "7.2")[1]
    assert result["money"] == pytest.approx(result["seconds"] * 0.002)
    assert run_doctor()[1]["money"] is None
    assert CliRunner().invoke(app, ["doctor", "--price", "cheap"]).exit_code == 2
    assert CliRunner().invoke(app, ["doctor", "--price", "-1"]).exit_code == 2
    with pytest.raises(ParamsError, match="is no price; write a number"):
        run_doctor("--price", "inf")


def test_start_up_and_download_are_in_the_time() -> None:
    use_size("gpu")
    result = run_doctor("--card", "h100-80gb")[1]
    stages = sum(stage["seconds"] + stage["start_seconds"] for stage in result["stages"])
    assert result["download"]["bytes"] == 2 * result["model"]["n_weights"]
    assert result["seconds"] == pytest.approx(stages + 80 + result["download"]["seconds"])
    assert result["disk_bytes"] > 2 * result["download"]["bytes"]


def test_free_memory_is_the_systems_own_estimate_on_any_system() -> None:
    import psutil

    assert machine.available_memory() <= psutil.virtual_memory().total


def test_a_card_is_no_plan_for_a_cpu() -> None:
    with pytest.raises(ParamsError, match="plans for a GPU, and runtime.device is cpu"):
        run_doctor("--card", "a100-80gb")


def test_an_unknown_card_is_refused() -> None:
    with pytest.raises(ParamsError, match="no such card; there are a10-24gb"):
        run_doctor("--card", "abacus")
