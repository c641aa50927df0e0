import csv
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import winrate
from stages.cli.study.reveal import reveal
from stages.decision.evidence import WinrateEvidence
from stages.decision.findings import ShareLimits
from stages.decision.judge import judge_winrate
from stages.files.io import read_json, sha256_file
from stages.run import paths
from stages.study.folder import KEY, TABLE, ballots_folder, study_folder
from stages.study.opening import open_study
from tests.support.decision_factory import WINRATE_LIMITS, make_facts
from tests.support.study_factory import always, hand_in, make_world, prefers

EDITORS = ("editor-1", "editor-2", "editor-3")


def measure() -> dict[str, Any]:
    winrate.main()
    metrics: dict[str, Any] = read_json(paths.WINRATE_METRICS)["winrate"]
    return metrics


def plot(name: str) -> list[dict[str, str]]:
    with (paths.WINRATE_PLOTS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return make_world(tmp_path, monkeypatch)


@pytest.fixture
def opened(world: str) -> str:
    open_study(continues="")
    return world


def judge_all(study_id: str, editor: Any) -> None:
    hand_in(study_id, dict.fromkeys(EDITORS, editor))
    reveal(despite_missing="")


def test_without_a_study_it_is_pending_and_says_what_there_is_to_judge(world: str) -> None:
    metrics = measure()
    assert metrics["status"] == "pending"
    assert "study open" in metrics["reason"]
    assert metrics["study_id"] == world
    assert (metrics["n_prompts"], metrics["n_shown"], metrics["n_identical"], metrics["n_void"]) == (
        23,
        22,
        1,
        1,
    )
    assert (metrics["n_ballots_expected"], metrics["n_ballots_received"]) == (3, 0)
    assert "value" not in metrics
    assert plot("editors.csv") == []


def test_the_gate_is_told_the_lines_of_the_registration_and_not_todays(opened: str) -> None:
    judge_all(opened, always("tie"))
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    params["limits"]["winrate"]["min_share"] = 0.51
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    metrics = measure()
    assert (metrics["min_share"], metrics["chance"]) == (0.6, 0.5)
    evidence = WinrateEvidence.model_validate(metrics)
    moved = ShareLimits(min_share=Fraction(51, 100), chance=Fraction(1, 2))
    assert judge_winrate(evidence, make_facts(), limits=moved).state == "invalid"
    assert judge_winrate(evidence, make_facts(), limits=WINRATE_LIMITS).state != "invalid"


def test_a_study_of_other_items_is_not_used(opened: str) -> None:
    other = study_folder("0" * 12)
    study_folder(opened).rename(other)
    assert "No study is open" in measure()["reason"]


def test_with_a_missing_ballot_it_is_pending_and_names_the_editor(opened: str) -> None:
    hand_in(opened, {"editor-1": always("tie"), "editor-3": always("tie")})
    metrics = measure()
    assert (metrics["status"], metrics["n_ballots_received"]) == ("pending", 2)
    assert "editor-2" in metrics["reason"]


def test_before_the_reveal_it_is_pending(opened: str) -> None:
    hand_in(opened, dict.fromkeys(EDITORS, always("tie")))
    metrics = measure()
    assert metrics["status"] == "pending"
    assert "study reveal" in metrics["reason"]


def test_editors_who_all_prefer_the_policy_give_every_win_but_the_identical_ones(opened: str) -> None:
    judge_all(opened, prefers("POLICYTEXT"))
    metrics = measure()
    assert metrics["status"] == "complete"
    # 22 prompts shown, 1 identical, 3 editors; the void prompt is in nothing
    assert (metrics["wins"], metrics["ties"], metrics["losses"], metrics["n"]) == (66, 3, 0, 69)
    assert metrics["value"] == pytest.approx(67.5 / 69)
    assert 0.5 < metrics["low"] < metrics["value"] < metrics["high"] <= 1
    assert [row["editor"] for row in plot("editors.csv")] == list(EDITORS)
    assert {row["score"] for row in plot("prompts.csv")} == {"1.0", "0.5"}


def test_editors_who_prefer_the_base_mirror_it(opened: str) -> None:
    judge_all(opened, prefers("BASETEXT"))
    metrics = measure()
    assert (metrics["wins"], metrics["ties"], metrics["losses"]) == (0, 3, 66)


@pytest.mark.parametrize("choice", ["left", "right"])
def test_an_editor_who_always_takes_one_side_says_nothing(opened: str, choice: Any) -> None:
    judge_all(opened, always(choice))
    metrics = measure()
    assert metrics["value"] == 0.5
    assert {row["value"] for row in plot("editors.csv")} == {"0.5"}


def test_the_same_files_give_the_same_bytes(opened: str) -> None:
    judge_all(opened, prefers("POLICYTEXT"))
    measure()
    before = [sha256_file(path) for path in (paths.WINRATE_METRICS, paths.WINRATE_PLOTS / "prompts.csv")]
    measure()
    assert before == [
        sha256_file(path) for path in (paths.WINRATE_METRICS, paths.WINRATE_PLOTS / "prompts.csv")
    ]


def test_key_table_and_ballots_are_enough(opened: str) -> None:
    judge_all(opened, prefers("POLICYTEXT"))
    before = measure()
    for model in ("base", "policy"):
        paths.generations(model).unlink()
    assert measure() == before


@pytest.mark.parametrize("name", [TABLE, KEY, "prereg.yaml", "commitment.json", "ballot-editor-2.html"])
def test_a_changed_byte_makes_the_study_invalid_and_names_the_file(opened: str, name: str) -> None:
    judge_all(opened, prefers("POLICYTEXT"))
    path = study_folder(opened) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    metrics = measure()
    assert metrics["status"] == "invalid"
    assert name in metrics["reason"]
    assert "value" not in metrics


def test_a_ballot_swapped_after_the_reveal_makes_the_study_invalid(opened: str) -> None:
    judge_all(opened, prefers("BASETEXT"))
    hand_in(opened, {"editor-1": prefers("POLICYTEXT")})
    metrics = measure()
    assert metrics["status"] == "invalid"
    assert "changed after the key was revealed" in metrics["reason"]


def test_a_stray_file_among_the_ballots_is_noticed(opened: str) -> None:
    hand_in(opened, {"editor-1": always("tie")})
    (ballots_folder(opened) / "editor-2.json.part").write_bytes(b'{"half":')
    metrics = measure()
    assert metrics["status"] == "invalid"
    assert "editor-2.json.part" in metrics["reason"]


def test_synthetic_prompts_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_world(tmp_path, monkeypatch, synthetic=True)
    assert measure()["n_synthetic"] == 24
