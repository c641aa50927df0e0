import json
from pathlib import Path

import pytest
import typer

from stages import gate as gate_stage
from stages.cli.gate import gate, print_gates
from stages.decision.verdicts import parse_gates
from stages.errors import ParamsError
from stages.files.io import sha256_file
from tests.support.decision_factory import accuracy_section, metrics_documents, write_world


@pytest.fixture
def world(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_world(tmp_path)
    return tmp_path


def judge(world: Path) -> dict:
    gate_stage.main()
    return json.loads((world / "metrics/gate.json").read_text(encoding="utf-8"))["gate"]


def exit_code(*, as_json: bool = False) -> int:
    with pytest.raises(typer.Exit) as caught:
        gate(json=as_json)
    return caught.value.exit_code


def test_real_and_complete_numbers_pass(world, capsys):
    gates = judge(world)
    assert [gates[name]["state"] for name in ("accuracy", "winrate", "capability", "overall")] == [
        "confirmed",
        "pass",
        "pass",
        "pass",
    ]
    assert gates["accuracy"]["value"] == 0.74
    assert gates["accuracy"]["n"] == 300
    assert exit_code() == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0] == "✓ pass overall"
    assert table[2].split() == ["gate", "state", "literal", "rule", "value", "95", "%", "range", "n"]
    assert table[4].split() == [
        "accuracy",
        "✓✓",
        "confirmed",
        "met",
        "74",
        "%",
        "68.8",
        "%",
        "to",
        "78.6",
        "%",
        "300",
    ]


def test_evidence_is_the_hash_of_each_file(world):
    evidence = judge(world)["evidence"]
    assert set(evidence) == {"validate", "split", "accuracy", "winrate", "capability"}
    for name, digest in evidence.items():
        assert digest == sha256_file(world / f"metrics/{name}.json")[:12]


def test_nothing_is_null_or_a_list_because_dvc_would_drop_it(world):
    def leaves(value):
        return (
            [leaf for part in value.values() for leaf in leaves(part)] if isinstance(value, dict) else [value]
        )

    (world / "metrics/winrate.json").unlink()
    for leaf in leaves(judge(world)):
        assert isinstance(leaf, str | int | float)


def test_a_failed_gate_is_a_result_and_only_the_command_fails(world, capsys):
    write_world(world, metrics_documents(accuracy={"holdout": accuracy_section(150)}))
    assert judge(world)["overall"] == {"state": "fail"}
    assert exit_code() == 1
    assert "below the target of 68" in capsys.readouterr().out


def test_a_missing_metrics_file_is_pending(world, capsys):
    (world / "metrics/capability.json").unlink()
    gates = judge(world)
    assert gates["capability"]["state"] == gates["overall"]["state"] == "pending"
    assert "capability" not in gates["evidence"]
    assert "value" not in gates["capability"]
    assert exit_code() == 3
    assert "have not been put to both models" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "{", "[]", '{"holdout": {"k": NaN}}', "{}", "\udcff"])
def test_an_unreadable_metrics_file_is_invalid(world, text):
    (world / "metrics/accuracy.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    gates = judge(world)
    assert gates["accuracy"]["state"] == gates["overall"]["state"] == "invalid"
    assert exit_code() == 1


def test_a_study_of_another_variant_is_invalid(world):
    with (world / "data/blind/items.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n")
    assert judge(world)["winrate"]["state"] == "invalid"


@pytest.mark.parametrize("name", ["validate", "split"])
def test_without_the_data_metrics_nothing_passes(world, name):
    (world / f"metrics/{name}.json").unlink()
    gates = judge(world)
    assert {gates[gate]["state"] for gate in ("accuracy", "winrate", "capability", "overall")} == {"invalid"}


def test_thresholds_come_from_params(world):
    params = (world / "params.yaml").read_text(encoding="utf-8")
    (world / "params.yaml").write_text(params.replace("min_share: 0.68", "min_share: 0.74"), encoding="utf-8")
    assert judge(world)["accuracy"]["literal_met"] == "not met"  # 222 of 300 is exactly 74 %


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("min_share: 0.68", "min_share: 0.49"),
        ("min_share: 0.6\n", "min_share: 0.4\n"),
        ("confirmed_drop: 0.01", "confirmed_drop: 0.03"),
        ("min_share: 0.68", "min_share: .nan"),
    ],
)
def test_thresholds_out_of_order_give_no_verdict(world, old, new):
    params = (world / "params.yaml").read_text(encoding="utf-8")
    assert old in params
    (world / "params.yaml").write_text(params.replace(old, new), encoding="utf-8")
    with pytest.raises(ParamsError, match="limits"):
        gate_stage.main()
    assert not (world / "metrics/gate.json").exists()


def test_json_prints_the_verdicts_as_data(world, capsys):
    gates = judge(world)
    assert exit_code(as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == gates


@pytest.mark.parametrize("text", [None, "{", '{"gate": {"overall": {"state": "fine"}}}', '{"gates": 1}'])
def test_no_verdict_to_read_is_exit_2_with_the_way_out(world, capsys, text):
    if text is not None:
        (world / "metrics/gate.json").write_text(text, encoding="utf-8")
    assert exit_code() == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert "metrics/gate.json" in streams.err
    assert "dvc repro gate" in streams.err


GOLDEN = Path(__file__).parent / "golden/gate_80.txt"
MADE_UP = "The pairs, prompts or ballots are made up (marked synthetic), so this is only a rehearsal."


def printed(capsys, monkeypatch, *, width: int) -> str:
    """What a rehearsal of part of the data prints, without the spaces that fill a table's lines."""
    monkeypatch.setenv("COLUMNS", str(width))
    pending = {"state": "pending", "literal_met": "met", "low": -0.01, "value": 0.7, "high": 0.768}
    print_gates(
        parse_gates(
            {
                "gate": {
                    "accuracy": {
                        **pending,
                        "n": 88,
                        "reasons": f"Only 88 of the 300 held-out pairs were scored. {MADE_UP}",
                    },
                    "winrate": {
                        "state": "pending",
                        "literal_met": "not measured",
                        "reasons": f"0 of the 6 ballots are in. {MADE_UP}",
                    },
                    "capability": {**pending, "state": "inconclusive", "n": 14042, "reasons": MADE_UP},
                    "overall": {"state": "pending"},
                    "warnings": "Side check on general behaviour: it repeats itself more, by 3 in 100 runs of words.",
                }
            }
        )
    )
    return "".join(f"{line.rstrip()}\n" for line in capsys.readouterr().out.splitlines())


def test_at_80_columns_every_reason_stands_once(capsys, monkeypatch):
    text = printed(capsys, monkeypatch, width=80)
    assert text == GOLDEN.read_text(encoding="utf-8")
    assert " ".join(text.split()).count(MADE_UP) == 1
    assert max(map(len, text.splitlines())) <= 80


def test_at_20_columns_nothing_is_cut(capsys, monkeypatch):
    text = printed(capsys, monkeypatch, width=20)
    assert "  state: ? inconclusive\n  literal rule: met\n  value: 70 %\n" in text
    assert MADE_UP in " ".join(text.split())


@pytest.mark.parametrize(("variable", "is_coloured"), [("FORCE_COLOR", True), ("NO_COLOR", False)])
def test_colour_is_as_the_environment_wants_it(capsys, monkeypatch, variable, is_coloured):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv(variable, "1")
    assert ("\x1b[33m" in printed(capsys, monkeypatch, width=80)) == is_coloured
