"""Made-up completions, pages read as an editor reads them, and editors of known habits."""

import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import blind
from stages.files.io import read_jsonl, write_jsonl
from stages.inference.generation.completions import Generation
from stages.run import paths
from stages.study.anchors import Anchor
from stages.study.ballots import Answer, Choice, write_ballot
from stages.study.folder import ballots_folder, current_study_id, page_file, study_folder
from stages.study.items import BlindItem
from stages.study.prereg import Prereg

REPO = Path(__file__).parent.parent.parent
ANCHORS_FILE = REPO / "data/sample/anchors.jsonl"
ANCHORS = read_jsonl(ANCHORS_FILE, Anchor)
WORDS = [
    "the",
    "fund",
    "will",
    "let",
    "our",
    "small",
    "team",
    "finish",
    "what",
    "forty",
    "volunteers",
    "began",
    "last",
    "spring",
    "by",
    "the",
    "river",
]

Screen = dict[str, str]
Editor = Callable[[Screen], Choice]


def make_generation(
    prompt_id: str = "p001", completion: str = "A sound paragraph.", **changes: Any
) -> Generation:
    values: dict[str, Any] = {
        "prompt_id": prompt_id,
        "prompt": f"Write paragraph {prompt_id}.",
        "completion": completion,
        "raw_completion": completion,
        "n_tokens": 5,
        "finish_reason": "eos",
        "removed_role_tags": False,
        "trimmed": False,
        "seed": 1,
        "settings_sha256": "0" * 64,
        "synthetic": False,
    }
    return Generation(**{**values, **changes})


def make_item(prompt_id: str = "p001", **changes: Any) -> BlindItem:
    values: dict[str, Any] = {
        "prompt_id": prompt_id,
        "prompt": f"Write paragraph {prompt_id}.",
        "base_completion": f"Base text of {prompt_id}.",
        "policy_completion": f"Policy text of {prompt_id}.",
        "identical": False,
        "tells": [],
        "synthetic": False,
    }
    return BlindItem(**{**values, **changes})


def make_prereg(**changes: Any) -> Prereg:
    values: dict[str, Any] = {
        "n_prompts": 12,
        "editors": ["ann", "ben", "eve"],
        "n_repeats": 2,
        "min_repeat_distance": 3,
        "n_anchors": 1,
        "looks": 1,
        "max_void_prompts": 2,
        "min_share": 0.6,
        "chance": 0.5,
    }
    return Prereg(**{**values, **changes})


def paragraph(*names: object) -> str:
    """A paragraph drawn from one distribution, whoever is said to have written it."""
    draw = random.Random(repr(names))
    return " ".join(draw.choices(WORDS, k=draw.randint(20, 90))).capitalize() + "."


def make_world(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    n_prompts: int = 24,
    identical: tuple[int, ...] = (3,),
    void: tuple[int, ...] = (5,),
    synthetic: bool = False,
    study: dict[str, Any] | None = None,
) -> str:
    """A repository with both models' completions and the items of `blind`; returns the study id.

    The policy's texts hold the word POLICYTEXT, so a simulated editor can be given a taste for them.
    """
    monkeypatch.chdir(folder)
    params = yaml.safe_load((REPO / "params.yaml").read_text(encoding="utf-8"))
    params["generate"]["n_prompts"] = n_prompts
    params["study"] |= {
        "n_repeats": 4,
        "min_repeat_distance": 6,
        "secret_path": str(folder / "secrets"),
        "anchors": str(ANCHORS_FILE),
    } | (study or {})
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    for kept in (paths.STUDY, paths.BALLOTS):
        kept.mkdir(parents=True)
        (kept / ".gitkeep").touch()
    rows: dict[str, list[Generation]] = {"base": [], "policy": []}
    for number in range(n_prompts):
        for model, mark in (("base", "BASETEXT"), ("policy", "POLICYTEXT")):
            text = f"{paragraph(number, model)} {mark}."
            if number in identical:
                text = "Both models wrote this."
            if number in void and model == "policy":
                text = "As an AI, I cannot be judged."
            rows[model].append(make_generation(f"p{number:03d}", text, synthetic=synthetic))
    for model, generations in rows.items():
        write_jsonl(paths.generations(model), generations)
    blind.main()
    return current_study_id()


def page_data(page: Path) -> dict[str, Any]:
    """The JSON block of a ballot page, as its script reads it."""
    match = re.search(
        r'<script type="application/json" id="ballot">(.*?)</script>', page.read_text(encoding="utf-8"), re.S
    )
    assert match
    data: dict[str, Any] = json.loads(match.group(1))
    return data


def answer_page(page: Path, editor: Editor) -> bytes:
    """The bytes that the page exports when `editor` has judged every screen."""
    data = page_data(page)
    answers = [
        Answer(slot_id=screen["slot_id"], choice=editor(screen), strength="", reasons=[], note="")
        for screen in data["screens"]
    ]
    header = {name: data[name] for name in ("study_id", "page_id", "editor", "key_sha256", "synthetic")}
    return write_ballot(**header, answers=answers)


def prefers(mark: str) -> Editor:
    """An editor who always chooses the side whose text holds `mark`, and ties where none does."""

    def judge(screen: Screen) -> Choice:
        if mark in screen["left"]:
            return "left"
        return "right" if mark in screen["right"] else "tie"

    return judge


def always(choice: Choice) -> Editor:
    return lambda screen: choice


def hand_in(study_id: str, editors: dict[str, Editor]) -> None:
    """Put every editor's ballot where the pipeline reads it."""
    folder = ballots_folder(study_id)
    folder.mkdir(parents=True, exist_ok=True)
    for name, editor in editors.items():
        data = answer_page(study_folder(study_id) / page_file(name), editor)
        (folder / f"{name}.json").write_bytes(data)


def copy_world(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True)
