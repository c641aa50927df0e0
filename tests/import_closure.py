"""What code a stage really uses, from its imports; `python -m tests.import_closure` prints it."""

import ast
import re
from pathlib import Path

import grimp

ROOT = Path(__file__).parent.parent

# Modules that cannot change what a stage writes, only stop it, watch it or name its files: see
# docs/decisions/0002-code-dependencies.md. Everything else a stage imports is a dep in dvc.yaml.
EXEMPT = {"stages", "stages.errors", "stages.params", "stages.paths", "stages.progress", "stages.shell"}
EXEMPT |= {"stages.core", "stages.adapters", "stages.cli"}  # docstrings only


def code_deps(stage: str) -> set[str]:
    """Files of code and templates that `stages/<stage>.py` depends on, itself included."""
    graph = grimp.build_graph("stages", exclude_type_checking_imports=True, cache_dir=None)
    modules = {f"stages.{stage}"} | graph.find_upstream_modules(f"stages.{stage}")
    files = {_file_of(module) for module in modules - EXEMPT}
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
    queue = [text for text in strings if re.fullmatch(r"[\w./-]+\.j2", text)]
    while queue:
        name = queue.pop()
        path = f"stages/templates/{name}"
        if path not in found:
            found.add(path)
            queue += re.findall(
                r"{%-? *(?:include|extends|import|from) +[\"']([\w./-]+)", (ROOT / path).read_text()
            )
    return found


if __name__ == "__main__":
    import yaml

    for stage_name in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]:
        print(stage_name, *sorted(code_deps(stage_name)), sep="\n  ")
