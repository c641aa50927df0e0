"""`bluepencil study plan`, `verify`, `rehearse` and `import`."""

import base64
import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stages import winrate
from stages.cli.study.app import app
from stages.cli.study.rehearse import rehearse_study
from stages.errors import InputError, StudyError
from stages.files.io import read_json, sha256_file
from stages.run import paths
from stages.study.folder import ballots_folder, study_folder
from stages.study.simulation import Habits, Truth
from tests.support.study_factory import always, hand_in, make_world, prefers

EDITORS = ("editor-1", "editor-2", "editor-3")
FAST_PLAN = {"plan": {"tie_rate": 0.1, "agreement": 0.4, "n_simulations": 300, "minutes_per_screen": 3.0}}


def study(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return make_world(tmp_path, monkeypatch, n_prompts=50, study=FAST_PLAN)


def outs() -> dict[str, str]:
    kept = [
        paths.WINRATE_METRICS,
        *paths.WINRATE_PLOTS.rglob("*"),
        *paths.STUDY.rglob("*"),
        *paths.BALLOTS.rglob("*"),
    ]
    return {str(path): sha256_file(path) for path in kept if path.is_file()}


def git(*arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


# ---- plan


def test_the_plan_says_what_the_study_can_show_and_fixes_the_design(world: str) -> None:
    output = study("plan")
    assert "50 prompts x 3 editors, 10 % ties" in output
    assert "The bare rule '> 60 % observed' lets" in output
    assert "Each editor judges 56 screens, about 2.8 hours." in output  # 50 + 4 + 2, 3 minutes each
    assert (paths.STUDY / "plan.svg").read_text().startswith("<svg")
    study("open")
    assert (study_folder(world) / "prereg.yaml").read_bytes() == (paths.STUDY / "prereg.yaml").read_bytes()


def test_planning_again_gives_the_same_bytes_without_simulating(
    world: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study("plan")
    before = outs()
    monkeypatch.setattr("stages.cli.study.plan.make_plan", lambda *_: pytest.fail("simulated again"))
    study("plan")
    assert outs() == before


def test_parameters_that_moved_after_the_plan_are_refused(world: str) -> None:
    study("plan")
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("n_repeats: 4", "n_repeats: 5"))
    with pytest.raises(StudyError, match="was written for other parameters"):
        study("open")


# ---- verify


def test_verify_says_what_it_checked_and_who_is_missing(world: str) -> None:
    study("open")
    hand_in(world, {"editor-1": always("tie")})
    text = study("verify")
    assert "every file fits the seal" in text
    assert "ballots: 1 of 3" in text
    assert "ballot missing: editor-2" in text
    assert "no receipt recorded: editor-1.json" in text


def test_verify_lists_every_problem(world: str) -> None:
    study("open")
    (study_folder(world) / "ballot-editor-1.html").write_text("changed")
    paths.generations("policy").write_text("changed")
    with pytest.raises(StudyError) as error:
        study("verify")
    assert "ballot-editor-1.html: differs" in str(error.value)
    assert "data/generate/policy.jsonl: differs" in str(error.value)


def test_verify_notices_a_changed_secret(world: str) -> None:
    study("open")
    Path("secrets", world).write_text("ab" * 32 + "\n")
    with pytest.raises(StudyError, match="not the one the study was sealed with"):
        study("verify")


def test_verify_explains_items_that_changed_since(world: str) -> None:
    study("open")
    paths.BLIND_ITEMS.write_text(paths.BLIND_ITEMS.read_text().replace("BASETEXT", "OTHERTEXT", 1))
    with pytest.raises(StudyError, match=rf"is not open \(open are: {world}\)"):
        study("verify")


def test_verify_compares_with_git_so_a_forged_commitment_is_caught(world: str) -> None:
    Path(".gitignore").write_text("/secrets/\n")
    subprocess.run(["git", "init", "-q"], check=True)
    study("open")
    git("add", ".")
    git("commit", "-qm", "open")
    study("verify")
    first = (study_folder(world) / "commitment.json").read_bytes()
    for path in study_folder(world).iterdir():
        path.unlink()
    study_folder(world).rmdir()
    Path("secrets", world).unlink()
    study("open")  # a second draw of lots, sound in itself
    with pytest.raises(StudyError, match=r"commitment\.json: differs from the version in git"):
        study("verify")
    git("add", ".")
    git("commit", "-qm", "again")
    assert (study_folder(world) / "commitment.json").read_bytes() != first
    with pytest.raises(StudyError, match=r"commitment\.json: was changed in git by commit"):
        study("verify")


def spellings(secret: str) -> dict[str, bytes]:
    """The secret as text in either case, as its own 32 bytes, and as base64 writes those."""
    own = bytes.fromhex(secret)
    return {
        "hex": secret.encode(),
        "HEX": secret.upper().encode(),
        "bytes": own,
        "base64": base64.b64encode(own)[:42],  # the last character depends on the padding
        "base64url": base64.urlsafe_b64encode(own)[:42],
    }


def every_object(clone: Path) -> bytes:
    """All that git knows: every version of every file on any branch, every message and every name."""
    return subprocess.run(
        ["git", "-C", str(clone), "cat-file", "--batch", "--batch-all-objects", "--unordered"],
        capture_output=True,
        check=True,
    ).stdout


def test_no_secret_is_ever_in_the_history_of_a_clone(world: str, tmp_path: Path) -> None:
    Path(".gitignore").write_text("/secrets/\n")
    subprocess.run(["git", "init", "-q"], check=True)
    study("plan")
    study("open")
    secret = Path("secrets", world).read_text().strip()
    git("add", "-A")
    git("commit", "-qm", "open")
    hand_in(world, dict.fromkeys(EDITORS, prefers("POLICYTEXT")))
    winrate.main()
    git("add", "-A")
    git("commit", "-qm", "ballots")
    study("rehearse")
    git("add", "-A")
    git("commit", "-qm", "a rehearsal that nobody cleared")
    git("clone", "-q", ".", str(tmp_path / "sealed"))
    objects = every_object(tmp_path / "sealed")
    assert b"blue-pencil-commitment-1" in objects
    assert [name for name, form in spellings(secret).items() if form in objects] == []
    study("reveal")
    git("add", "-A")
    git("commit", "-qm", "reveal")
    git("clone", "-q", ".", str(tmp_path / "revealed"))
    found = every_object(tmp_path / "revealed")
    assert [name for name, form in spellings(secret).items() if form in found] == ["hex"]  # public now


def test_key_table_and_ballots_in_git_give_the_win_rate_alone(world: str) -> None:
    study("open")
    hand_in(world, dict.fromkeys(EDITORS, prefers("POLICYTEXT")))
    study("reveal")
    winrate.main()
    metrics = read_json(paths.WINRATE_METRICS)["winrate"]
    for path in (
        paths.BLIND_ITEMS,
        paths.generations("base"),
        paths.generations("policy"),
        Path("secrets", world),
    ):
        path.unlink()
    text = study("verify", world)
    assert (
        f"winrate: {metrics['value']:.4f} (95 % range {metrics['low']:.4f} to {metrics['high']:.4f})" in text
    )
    assert "not checked, not there: data/blind/items.jsonl" in text


# ---- rehearse


def test_a_rehearsal_goes_through_the_real_files_and_is_cleared_without_a_trace(world: str) -> None:
    winrate.main()
    before = outs()
    study("rehearse", "--win-rate", "0.8", "--agreement", "0.2", "--tie-rate", "0.05")
    study("verify", f"rehearsal-{world}")
    winrate.main()
    document = read_json(paths.WINRATE_METRICS)
    assert set(document) == {"rehearsal"}
    assert document["rehearsal"]["status"] == "complete"
    assert document["rehearsal"]["low"] < 0.8 < document["rehearsal"]["high"]
    assert document["rehearsal"]["n_synthetic"] == 3
    assert document["rehearsal"]["study_id"] == f"rehearsal-{world}"
    study("rehearse", "--clear")
    winrate.main()
    assert outs() == before
    assert not Path("secrets").exists()


DVC_YAML = """
stages:
  winrate:
    cmd: python -m stages.winrate
    deps: [data/blind/items.jsonl, study, data/ballots]
    outs: [data/winrate]
    metrics: [metrics/winrate.json: {cache: false}]
  gate:
    cmd: python -c "open('metrics/gate.json', 'w').write(open('metrics/winrate.json').read())"
    deps: [metrics/winrate.json]
    metrics: [metrics/gate.json: {cache: false}]
  report:
    cmd: python -c "open('reports/founder.html', 'w').write(open('metrics/gate.json').read())"
    deps: [metrics/gate.json]
    outs: [reports/founder.html: {cache: false}]
"""


@pytest.mark.slow
@pytest.mark.parametrize("has_results", [False, True])
def test_clearing_a_rehearsal_leaves_a_clone_as_it_was(
    world: str, monkeypatch: pytest.MonkeyPatch, has_results: bool
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent.parent.parent))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(Path("site-cache").absolute()))
    Path("dvc.yaml").write_text(DVC_YAML)
    Path("reports").mkdir()
    Path("metrics").mkdir()
    Path(".gitignore").write_text("/secrets/\n/site-cache\n")
    Path("data/.gitignore").write_text("/winrate\n")
    git("init", "-q")
    subprocess.run(["dvc", "init", "-q"], check=True)
    if has_results:
        subprocess.run(["dvc", "repro", "-q"], check=True)
    git("add", "-A")
    git("commit", "-qm", "a project")

    def tree() -> dict[str, bytes]:
        own = (path for path in Path().rglob("*") if path.parts[0] not in (".git", ".dvc", "site-cache"))
        return {str(path): path.read_bytes() if path.is_file() else b"" for path in own}

    before = tree()
    said = study("rehearse")
    assert f"study rehearsal-{world}, with simulated editors:\n  rehearsal: 0." in said
    assert "rehearsal" in Path("reports/founder.html").read_text()
    study("rehearse", "--seed", "2")
    study("rehearse", "--clear")
    assert tree() == before
    status = subprocess.run(["git", "status", "--porcelain"], check=True, capture_output=True).stdout
    assert status == b""


def test_every_file_of_a_rehearsal_says_so(world: str) -> None:
    study("rehearse")
    study_id = f"rehearsal-{world}"
    assert read_json(study_folder(study_id) / "commitment.json")["synthetic"] is True
    for name in EDITORS:
        assert "Rehearsal</strong>" in (study_folder(study_id) / f"ballot-{name}.html").read_text()
        assert read_json(ballots_folder(study_id) / f"{name}.json")["synthetic"] is True
    winrate.main()
    with (paths.WINRATE_PLOTS / "editors.csv").open() as file:
        assert {row["rehearsal"] for row in csv.DictReader(file)} == {"True"}


def test_real_ballots_win_over_a_rehearsal(world: str) -> None:
    study("open")
    study("rehearse")
    winrate.main()
    assert set(read_json(paths.WINRATE_METRICS)) == {"rehearsal"}
    hand_in(world, {"editor-1": prefers("POLICYTEXT")})
    winrate.main()
    document = read_json(paths.WINRATE_METRICS)
    assert set(document) == {"winrate"}
    assert document["winrate"]["n_ballots_received"] == 1
    study("rehearse", "--clear")
    assert (study_folder(world) / "commitment.json").exists()
    assert (ballots_folder(world) / "editor-1.json").exists()


def test_a_rehearsals_ballot_is_refused_by_the_real_study(world: str) -> None:
    study("open")
    study("rehearse")
    with pytest.raises(StudyError, match=f"belongs to study rehearsal-{world}"):
        study("collect", str(ballots_folder(f"rehearsal-{world}") / "editor-1.json"))


def test_clearing_nothing_says_so(world: str) -> None:
    with pytest.raises(StudyError, match="no rehearsal to clear"):
        study("rehearse", "--clear")


def test_a_rehearsal_with_the_same_seed_repeats_itself(world: str) -> None:
    study("rehearse", "--seed", "4")
    before = outs()
    study("rehearse", "--seed", "4")
    assert outs() == before
    study("rehearse", "--seed", "5")
    assert outs() != before


def test_biased_and_tired_editors_are_seen(world: str) -> None:
    rehearse_study(Habits(Truth(0.65, 0.1, 0.4), left_bias=0.6, fatigue=0.0), seed=1)
    winrate.main()
    biased = read_json(paths.WINRATE_METRICS)["rehearsal"]
    assert biased["secondary"]["side"]["share_left"] > 0.7
    assert biased["secondary"]["side"]["p_value"] < 0.001
    rehearse_study(Habits(Truth(0.9, 0.0, 0.0), left_bias=0.0, fatigue=1.0), seed=1)
    winrate.main()
    tired = read_json(paths.WINRATE_METRICS)["rehearsal"]
    assert tired["value"] < 0.82  # half of the screens are coin flips on average: about 0.7


# ---- import


def write_table(rows: list[dict[str, Any]]) -> str:
    with Path("judged.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["prompt_id", "editor", "left", "choice", "policy_chars", "base_chars"])
        writer.writeheader()
        writer.writerows(rows)
    return "judged.csv"


def test_judgements_of_another_tool_give_the_same_win_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        {"prompt_id": f"p{i}", "editor": editor, "left": left, "choice": choice}
        for i in range(10)
        for editor, left, choice in (
            ("ann", "policy", "left"),
            ("ben", "base", "left"),
            ("eve", "base", "tie"),
        )
    ]
    imported = json.loads(study("import", write_table(rows)))["imported"]
    # ann 10 wins, ben 10 losses, eve 10 ties
    assert (imported["wins"], imported["losses"], imported["ties"], imported["value"]) == (10, 10, 10, 0.5)
    assert imported["sealed"] is False
    assert imported["n_eff"] == 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"choice": "perhaps"}, "line 2: choice"),
        ({"left": "model-a"}, "line 2: left"),
        ({"editor": ""}, "line 2: editor"),
        ({"editor": "n/a"}, "line 2: editor"),
        ({"policy_chars": "-5"}, "line 2: policy_chars"),
        ({"prompt_id": "p1"}, "editor ann, prompt p0: 0 judgements"),
    ],
)
def test_an_import_that_does_not_fit_names_the_line(tmp_path, monkeypatch, change, message) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        {"prompt_id": f"p{i}", "editor": editor, "left": "policy", "choice": "left"}
        for i in range(3)
        for editor in ("ann", "ben")
    ]
    with pytest.raises(InputError, match=message):
        study("import", write_table([{**rows[0], **change}, *rows[1:]]))


def export_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same judgements as Label Studio exports them: a task per prompt, an annotation per editor."""
    tasks: dict[str, dict[str, Any]] = {}
    for row in rows:
        data = {"prompt_id": row["prompt_id"], "left": row["left"], "text1": "One.", "text2": "Two."}
        task = tasks.setdefault(row["prompt_id"], {"id": len(tasks), "data": data, "annotations": []})
        part = {
            "from_name": "pw",
            "to_name": "t1,t2",
            "type": "pairwise",
            "value": {"selected": row["choice"]},
        }
        if row["choice"] == "tie":
            part = {"from_name": "tie", "to_name": "t1", "type": "choices", "value": {"choices": ["tie"]}}
        task["annotations"].append(
            {"completed_by": {"email": row["editor"]}, "was_cancelled": False, "result": [part]}
        )
    return list(tasks.values())


def judged_rows() -> list[dict[str, Any]]:
    return [
        {
            "prompt_id": f"p{i}",
            "editor": editor,
            "left": "policy" if i % 3 else "base",
            "choice": ("left", "right", "tie")[(i + place) % 3],
        }
        for i in range(12)
        for place, editor in enumerate(("ann", "ben", "eve"))
    ]


def test_an_export_of_label_studio_gives_what_the_table_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = judged_rows()
    Path("export.json").write_text(json.dumps(export_of(rows)))
    names = ("value", "low", "high", "wins", "ties", "losses", "n_eff")
    by_table, by_export = (
        json.loads(study("import", path))["imported"] for path in (write_table(rows), "export.json")
    )
    assert {name: by_export[name] for name in names} == {name: by_table[name] for name in names}
    assert by_export["secondary"]["side"] == by_table["secondary"]["side"]  # the side as shown

    tasks = export_of(rows)
    sides = ["prompt_id,left"] + [f"{task['data']['prompt_id']},{task['data'].pop('left')}" for task in tasks]
    Path("sides.csv").write_text("\n".join(sides) + "\n")
    Path("blind.json").write_text(json.dumps(tasks))
    blind = json.loads(study("import", "blind.json", "--sides", "sides.csv"))["imported"]
    assert {name: blind[name] for name in names} == {name: by_table[name] for name in names}
    with pytest.raises(InputError, match=r"task 0, annotation 1: left is empty"):
        study("import", "blind.json")
    with pytest.raises(InputError, match="a table has a column `left`"):
        study("import", "judged.csv", "--sides", "sides.csv")
    Path("sides.csv").write_text("\n".join([*sides[:2], f"{sides[2]},extra", *sides[3:]]))
    with pytest.raises(InputError, match="sides.csv: line 3: has 3 cells, the header has 2"):
        study("import", "blind.json", "--sides", "sides.csv")
    Path("sides.csv").write_text("\n".join([*sides, sides[1]]))
    with pytest.raises(InputError, match="has a line already"):
        study("import", "blind.json", "--sides", "sides.csv")


def test_a_table_may_be_an_array_or_lines_of_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = judged_rows()
    by_table = study("import", write_table(rows))
    for spelled in (json.dumps(rows), "".join(json.dumps(row) + "\n" for row in rows)):
        Path("table.json").write_text(spelled)
        assert study("import", "table.json") == by_table
        with pytest.raises(InputError, match="a table has a column `left`"):
            study("import", "table.json", "--sides", "table.json")


def test_the_texts_of_a_prompt_have_one_length_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{**row, "policy_chars": 100, "base_chars": 90} for row in judged_rows()]
    study("import", write_table(rows))
    rows[1]["policy_chars"] = 101
    with pytest.raises(InputError, match="prompt p0: policy_chars is 100 and 101"):
        study("import", write_table(rows))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting property name"),
        ("[" * 100_000, "nested too deeply"),
        ('{"tasks": []}', "a list of tasks was expected"),
        ("[]", "no judgement"),
        ('[{"prompt_id": "p1"}]', "not JSON-MIN"),
    ],
)
def test_a_broken_export_is_said_to_be(tmp_path, monkeypatch, text: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("export.json").write_text(text)
    with pytest.raises(InputError, match=message):
        study("import", "export.json")
