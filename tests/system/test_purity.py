"""The contracts of pyproject.toml on what may touch the world: no exception without need, no pure room excepted."""

import tomllib
from fnmatch import fnmatch
from typing import Any

import grimp
import pytest

from tests.support.import_closure import ROOT

CONTRACTS: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"][
    "importlinter"
]["contracts"]
LAYERS, BY_DEFAULT, BY_NAME = CONTRACTS
GRAPH = grimp.build_graph(
    "stages", include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
)
WORLDLY = {
    module
    for module in GRAPH.modules
    if GRAPH.find_modules_directly_imported_by(module) & set(BY_DEFAULT["forbidden_modules"])
}


def test_both_contracts_forbid_the_same() -> None:
    assert BY_DEFAULT["forbidden_modules"] == BY_NAME["forbidden_modules"]


@pytest.mark.parametrize("entry", BY_DEFAULT["ignore_imports"])
def test_no_room_is_excepted_that_needs_no_exception(entry: str) -> None:
    module, imported = entry.split(" -> ")
    named = {name for name in WORLDLY if fnmatch(name, module.replace("**", "*"))}
    assert named
    assert imported == "**" or any(
        imported in GRAPH.find_modules_directly_imported_by(name) for name in named
    )


@pytest.mark.parametrize("room", ["measures", "decision", "reporting"])
def test_what_decides_and_words_has_no_exception(room: str) -> None:
    assert not [entry for entry in BY_DEFAULT["ignore_imports"] if entry.startswith(f"stages.{room}")]
    assert not [module for module in WORLDLY if module.startswith(f"stages.{room}.")]
