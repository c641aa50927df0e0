"""YAML text to plain values: no key twice, no text that grows as it is read, no objects."""

import re
import reprlib
from typing import Any

import yaml

MAX_DEPTH = 50
MANY = 5_000  # levels; a parser in C has room for some 40,000
MAX_KEYS = 10_000  # of one mapping; merges of merges (`<<`) would multiply them without end


class _Loader(yaml.SafeLoader):
    """PyYAML keeps the last of two values under one key, where DVC refuses the file."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._checked: set[int] = set()

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError(f"is nested more than {MAX_DEPTH} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        if id(node) not in self._checked:  # afterwards it holds what it merges, too
            self._checked.add(id(node))
            self._refuse_repeated_keys(node)
        super().flatten_mapping(node)
        if len(node.value) > MAX_KEYS:
            raise ValueError(f"a mapping grows to more than {MAX_KEYS} keys ({_place(node.start_mark)})")

    def _refuse_repeated_keys(self, node: yaml.MappingNode) -> None:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in seen:
                raise ValueError(f"{key.value!r} stands there twice; keep one ({_place(key.start_mark)})")
            seen.add((key.tag, key.value) if isinstance(key, yaml.ScalarNode) else id(key))


def _same_for_all(tag: str, written: re.Pattern[str], way_out: str) -> None:
    """Refuse a plain value that YAML 1.1, PyYAML's, reads otherwise than 1.2, by which DVC records it."""

    def construct(loader: _Loader, node: yaml.ScalarNode) -> Any:
        if not written.fullmatch(node.value):
            said = f"{node.value!r} is one value in YAML 1.1 and another in 1.2"
            raise ValueError(f"{said}; {way_out} ({_place(node.start_mark)})")
        return yaml.SafeLoader.yaml_constructors[tag](loader, node)

    _Loader.add_constructor(tag, construct)


NUMBER = "write a plain decimal number, or a text in quotes"
_same_for_all("tag:yaml.org,2002:int", re.compile(r"[-+]?(0|[1-9][0-9]*|0x[0-9a-fA-F]+)"), NUMBER)
_same_for_all("tag:yaml.org,2002:float", re.compile(r"[^_:]*"), NUMBER)
_same_for_all(
    "tag:yaml.org,2002:bool",
    re.compile(r"true|True|TRUE|false|False|FALSE"),
    "write true or false, or a text in quotes",
)


def parse_yaml(text: str) -> Any:
    """One YAML document as plain values. ValueError, in words, for whatever is none."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 -- a safe loader
    except RecursionError as error:
        raise ValueError("a part of it holds itself") from error
    except yaml.MarkedYAMLError as error:
        place = f"{_place(error.problem_mark)}: " if error.problem_mark else ""
        raise ValueError(f"{place}{error.problem}") from error
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def might_be_deep(content: bytes) -> bool:
    """Could this YAML have MANY levels? Each needs a bracket or another column; none is parsed to see."""
    n_columns = max(map(len, content.splitlines()), default=0)
    n_brackets = content.count(b"[") + content.count(b"{")
    return n_brackets + 2 * n_columns > MANY  # a list may begin in its key's column


def _place(mark: yaml.Mark) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"


def show(value: object) -> str:
    """A value in a message: short, however much an alias makes of it."""
    brief = reprlib.Repr()
    brief.maxlevel, brief.maxstring, brief.maxother = 2, 80, 80
    return f"{brief.repr(value):.80}"
