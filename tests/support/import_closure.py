"""What code a stage really uses, from its imports; `python -m tests.support.import_closure` prints it."""

import ast
import re
from pathlib import Path

import grimp

ROOT = Path(__file__).parent.parent.parent
# `run` stops, watches or starts a stage and names its files: see docs/decisions/0002-code-dependencies.md.
NEVER_DEPS = ("stages.run", "stages.errors")


def code_used(stage: str) -> set[str]:
    """Files of code and templates that `stages/<stage>.py` uses, itself included, packages' `__init__` not."""
    graph = grimp.build_graph("stages", exclude_type_checking_imports=True, cache_dir=None)
    modules = {f"stages.{stage}"} | graph.find_upstream_modules(f"stages.{stage}")
    files = {_file_of(module) for module in modules if not module.startswith(NEVER_DEPS)}
    files = {file for file in files if (ROOT / file).is_file()}
    return files | {name for file in files for name in _templates(file)}


def _file_of(module: str) -> str:
    return module.replace(".", "/") + ".py"


def _templates(file: str) -> set[str]:
    strings = [
        node.value
        for node in ast.walk(ast.parse((ROOT / file).read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    found: set[str] = set()
    queue = [text for text in strings if re.fullmatch(r"[\w./-]+\.(j2|css|js)", text)]
    while queue:
        path = f"stages/{queue.pop()}"
        if path not in found:
            found.add(path)
            queue += re.findall(
                r"{%-? *(?:include|extends|import|from) +[\"']([\w./-]+)", (ROOT / path).read_text()
            )
    return found


if __name__ == "__main__":
    import yaml

    for stage_name in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]:
        print(stage_name, *sorted(code_used(stage_name)), sep="\n  ")
