"""Two looks, fixed beforehand: the second study adds fresh prompts to the first one's."""

from pathlib import Path
from typing import Any

import pytest

from stages import blind, winrate
from stages.cli.study.reveal import reveal
from stages.errors import StudyError
from stages.files.io import read_json, read_jsonl, write_jsonl
from stages.inference.generation.completions import Generation
from stages.run import paths
from stages.study.folder import current_study_id, study_folder
from stages.study.opening import open_study
from tests.support.study_factory import hand_in, make_world, prefers

EDITORS = ("editor-1", "editor-2", "editor-3")


def judge(study_id: str, taste: str) -> None:
    hand_in(study_id, dict.fromkeys(EDITORS, prefers(taste)))
    reveal(despite_missing="")


def measure() -> dict[str, Any]:
    winrate.main()
    metrics: dict[str, Any] = read_json(paths.WINRATE_METRICS)["winrate"]
    return metrics


def generate_fresh_prompts() -> str:
    """New prompts, as if generate.n_prompts fresh ones had been answered by the same two models."""
    for model in ("base", "policy"):
        rows = read_jsonl(paths.generations(model), Generation)
        fresh = [
            row.model_copy(update={"prompt_id": f"q{row.prompt_id}", "prompt": f"Fresh: {row.prompt}"})
            for row in rows
        ]
        write_jsonl(paths.generations(model), fresh)
    blind.main()
    return current_study_id()


@pytest.fixture
def first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    study_id = make_world(tmp_path, monkeypatch, study={"looks": 2})
    open_study(continues="")
    return study_id


def test_the_second_look_pools_both_and_uses_its_own_bound(first: str) -> None:
    judge(first, "POLICYTEXT")
    one = measure()
    assert (one["look"], one["looks"], one["z"], one["n"]) == (1, 2, 2.797, 69)
    second = generate_fresh_prompts()
    open_study(continues=first)
    assert measure()["status"] == "pending"
    judge(second, "BASETEXT")
    two = measure()
    assert (two["look"], two["z"], two["n_prompts"]) == (2, 1.977, 46)
    # 22 shown and 1 identical prompt in each look, 3 editors: all wins, then all losses
    assert (two["wins"], two["ties"], two["losses"], two["value"]) == (66, 6, 66, 0.5)
    assert two["secondary"]["anchors"] == {"n": 12, "n_noticed": 0}


def test_a_tampered_first_look_makes_the_second_invalid(first: str) -> None:
    judge(first, "POLICYTEXT")
    second = generate_fresh_prompts()
    open_study(continues=first)
    judge(second, "POLICYTEXT")
    path = study_folder(first) / "items.jsonl"
    path.write_bytes(path.read_bytes() + b"\n")
    metrics = measure()
    assert metrics["status"] == "invalid"
    assert f"first look, study {first}: items.jsonl: differs" in metrics["reason"]


def refusal(continues: str) -> str:
    with pytest.raises(StudyError) as error:
        open_study(continues=continues)
    return str(error.value)


def test_only_a_complete_study_of_two_looks_can_be_continued(
    first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate_fresh_prompts()
    assert "is not revealed" in refusal(first)
    assert "has ballots missing" in refusal(first)
    assert "no such study" in refusal("f" * 12)
    (tmp_path / "one").mkdir()
    study_id = make_world(tmp_path / "one", monkeypatch, study={"looks": 1})
    open_study(continues="")
    judge(study_id, "POLICYTEXT")
    generate_fresh_prompts()
    assert "pre-registered for one look" in refusal(study_id)


def test_there_is_no_third_look_and_no_prompt_twice(first: str) -> None:
    judge(first, "POLICYTEXT")
    second = generate_fresh_prompts()
    open_study(continues=first)
    judge(second, "POLICYTEXT")
    generate_fresh_prompts()
    assert "there is no third" in refusal(second)
    rows = read_jsonl(paths.generations("base"), Generation)
    old = [row.model_copy(update={"prompt": row.prompt.removeprefix("Fresh: Fresh: ")}) for row in rows]
    policy = read_jsonl(paths.generations("policy"), Generation)
    write_jsonl(paths.generations("base"), old)
    write_jsonl(
        paths.generations("policy"),
        [row.model_copy(update={"prompt": row.prompt.removeprefix("Fresh: Fresh: ")}) for row in policy],
    )
    blind.main()
    assert "shares 24 prompts" in refusal(first)


def test_fresh_prompts_need_ids_of_their_own(first: str) -> None:
    """The table of scores and the page name prompts by id: two with one id could not be told apart."""
    judge(first, "POLICYTEXT")
    for model in ("base", "policy"):
        rows = read_jsonl(paths.generations(model), Generation)
        fresh = [row.model_copy(update={"prompt": f"Fresh: {row.prompt}"}) for row in rows]
        write_jsonl(paths.generations(model), fresh)
    blind.main()
    assert "has 24 prompts with ids that these have too (p000, p001, p002)" in refusal(first)
