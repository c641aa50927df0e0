from pathlib import Path

import pytest

from stages import blind
from stages.errors import InputError
from stages.files.io import read_jsonl, sha256_file, write_jsonl
from stages.run import paths
from stages.study.items import BlindItem
from tests.support.study_factory import make_generation, make_world


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return make_world(tmp_path, monkeypatch)


def test_every_prompt_becomes_one_item_of_the_right_kind(world: str) -> None:
    items = read_jsonl(paths.BLIND_ITEMS, BlindItem)
    assert [item.prompt_id for item in items] == [f"p{number:03d}" for number in range(24)]
    assert [item.prompt_id for item in items if item.status == "identical"] == ["p003"]
    assert [item.prompt_id for item in items if item.status == "void"] == ["p005"]


def test_running_again_writes_the_same_bytes(world: str) -> None:
    before = sha256_file(paths.BLIND_ITEMS)
    blind.main()
    assert sha256_file(paths.BLIND_ITEMS) == before


def test_it_succeeds_when_every_prompt_is_void_or_identical(world: str) -> None:
    rows = [make_generation(f"p{number}", "As an AI, yes.") for number in range(3)]
    write_jsonl(paths.generations("base"), rows)
    write_jsonl(paths.generations("policy"), [*rows[:2], make_generation("p2", "Plain.")])
    blind.main()
    items = read_jsonl(paths.BLIND_ITEMS, BlindItem)
    assert [item.status for item in items] == ["identical", "identical", "void"]


def test_models_that_answered_different_prompts_are_an_error_that_writes_nothing(world: str) -> None:
    before = sha256_file(paths.BLIND_ITEMS)
    write_jsonl(paths.generations("policy"), [make_generation("other")])
    with pytest.raises(InputError, match=r"policy\.jsonl: base and policy answered different prompts"):
        blind.main()
    assert sha256_file(paths.BLIND_ITEMS) == before
