"""Stages `probe` and `probe_summary` on a tiny model, and the warning that `gate` makes of them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from stages import gate, probe, probe_summary
from stages.cli.gate import print_gates
from stages.decision.verdicts import parse_gates
from stages.errors import InputError, RuntimeCheckError
from stages.files.io import read_json, read_jsonl, write_json, write_jsonl
from stages.inference.probe.rows import ProbeRow
from stages.inference.probe.text_scoring import score_texts
from stages.model.checkpoint import base_sha256
from stages.run import paths
from tests.support.decision_factory import write_world
from tests.support.probe_factory import make_rows
from tests.support.tiny_models import tiny_model, tiny_tokenizer, write_tiny_base

PARAMS = Path(__file__).parent.parent / "params.yaml"
Run = Callable[[str], list[ProbeRow]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(PARAMS.parent / "sizes", "sizes")
    text = PARAMS.read_text(encoding="utf-8").replace("max_new_tokens: 24", "max_new_tokens: 6")
    Path("params.yaml").write_text(text, encoding="utf-8")
    write_tiny_base(paths.BASE_MODEL)
    config = json.loads((paths.BASE_MODEL / "config.json").read_text())
    (paths.BASE_MODEL / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 1024}))
    get_peft_model(tiny_model(), LoraConfig(r=2, target_modules="all-linear")).save_pretrained(
        paths.POLICY_MODEL
    )
    write_json(paths.POLICY_MODEL / "manifest.json", {"base_sha256": base_sha256(paths.BASE_MODEL)})

    def run_stage(model: str) -> list[ProbeRow]:
        monkeypatch.setattr("sys.argv", ["probe", model])
        probe.main()
        return read_jsonl(paths.probe_rows(model), ProbeRow)

    return run_stage


def test_an_untouched_policy_is_the_base_in_everything(run: Run) -> None:
    base = run("base")
    assert base == run("policy")
    assert [row.root.kind for row in base] == ["text"] * 24 + ["answer"] * 24
    probe_summary.main()
    found = read_json(paths.PROBE_METRICS)["probe"]
    assert found["base"] == found["policy"]
    assert found["perplexity_rise"] == {"value": 0, "low": 0, "high": 0}
    assert {path.name for path in paths.PROBE_TABLES.iterdir()} == {"texts.csv", "prompts.csv"}


def test_a_broken_model_writes_nothing(run: Run) -> None:
    weights = paths.BASE_MODEL / "model.safetensors"
    tensors = load_file(weights)
    tensors["model.norm.weight"] *= float("nan")
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(RuntimeCheckError, match="24 texts got a log-prob that is no number"):
        run("base")
    assert not paths.probe_rows("base").exists()


def test_a_texts_log_prob_is_the_sum_over_its_tokens_whatever_the_batch() -> None:
    import torch

    model, tokenizer = tiny_model(), tiny_tokenizer()
    texts = ["the grant funds", "rooms for children and their families", "a"]
    found = score_texts(model, tokenizer, texts, batch_size=2, label="test")
    for text, one in zip(texts, found, strict=True):
        ids = [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]
        logps = torch.log_softmax(model(torch.tensor([ids])).logits[0].detach(), dim=-1)
        by_hand = sum(float(logps[place, token]) for place, token in enumerate(ids[1:]))
        assert one.n_tokens == len(ids) - 1
        assert one.logp == pytest.approx(by_hand, abs=1e-3)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_world(tmp_path)
    return tmp_path


def judge() -> dict[str, Any]:
    gate.main()
    return dict(read_json(paths.GATE_METRICS)["gate"])


def test_a_damaged_model_is_warned_of_and_no_state_changes(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = judge()
    assert "warnings" not in before
    write_jsonl(paths.probe_rows("base"), make_rows())
    write_jsonl(paths.probe_rows("policy"), make_rows(logp=-260.0))
    probe_summary.main()
    after = judge()
    assert "ordinary text surprises the new model" in after.pop("warnings")
    assert after == before
    capsys.readouterr()
    print_gates(parse_gates(read_json(paths.GATE_METRICS)))
    assert "\nwarning: Side check" in capsys.readouterr().out


def test_a_probe_that_moved_nothing_is_not_mentioned(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for model in ("base", "policy"):
        write_jsonl(paths.probe_rows(model), make_rows())
    probe_summary.main()
    assert "warnings" not in judge()
    capsys.readouterr()
    print_gates(parse_gates(read_json(paths.GATE_METRICS)))
    assert "warning" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 texts, 24 were expected"),
        ('{"kind": "text"}', "does not fit ProbeRow"),
        ('{"kind": "text", "logp": NaN}', "NaN is not a number"),
    ],
)
def test_a_broken_file_is_named_and_no_number_is_written(world: Path, text: str, message: str) -> None:
    write_jsonl(paths.probe_rows("base"), make_rows())
    paths.probe_rows("policy").write_text(text)
    with pytest.raises(InputError, match=rf"policy\.jsonl: (?s:.*{message})"):
        probe_summary.main()
    assert not paths.PROBE_METRICS.exists()
