import importlib.metadata
import tomllib

import pytest

from tests.support.licences import DOCUMENT, ROOT, licence_of, locked_packages, render


def installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name).split("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None


def test_the_page_is_in_step_with_the_lock() -> None:
    other = [name for name, version in locked_packages() if installed(name) != version]
    if other:
        pytest.skip(f"not what the lock names: {', '.join(other[:5])}")
    assert DOCUMENT.read_text(encoding="utf-8") == render()


def test_the_licence_is_said_where_people_and_tools_look() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE"])
    assert "Apache License\n                           Version 2.0" in (ROOT / "LICENSE").read_text(
        encoding="utf-8"
    )


def test_the_lock_of_qlora_names_one_package_that_the_other_lock_has_not() -> None:
    lines = (ROOT / "requirements-qlora.lock").read_text().split()
    assert [line.split("==")[0] for line in lines] == ["bitsandbytes"]
    assert "bitsandbytes" not in {name for name, _ in locked_packages()}


def test_every_locked_package_is_on_the_page() -> None:
    page = DOCUMENT.read_text(encoding="utf-8")
    assert [name for name, version in locked_packages() if f"| {name} | {version} |" not in page] == []


def test_every_package_states_a_licence() -> None:
    assert [
        name for name, _ in locked_packages() if installed(name) and licence_of(name) == "not stated"
    ] == []
