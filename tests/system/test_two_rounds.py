"""A second round: a study's votes become pairs, and what was held out stays held out."""

import json
import re
import shutil
from itertools import islice
from pathlib import Path

import pytest

from stages.cli.pipeline import with_overrides
from stages.data.earlier_split import FILES, EarlierRow, describe_rows
from stages.files.io import read_json, read_jsonl, write_jsonl
from stages.inference.generation.completions import Generation
from stages.run import paths
from tests.support.study_factory import paragraph
from tests.support.tiny_repository import N_PROMPTS, ROOT, CommandLine, git
from tests.support.whole_repository import COMMITTER, copy_whole_repository

pytestmark = pytest.mark.slow  # both rounds are the whole pipeline
PAIRS, PROMPTS = "data/raw/pairs.jsonl", "data/raw/prompts.jsonl"
NOT_FRESH = "prompts_are_fresh"


class Rounds(CommandLine):
    """The repository, and commands of `bluepencil` in it."""

    longest_s = 400

    def __init__(self, root: Path) -> None:
        super().__init__(root, **COMMITTER, PYTHONPATH=f"{root}:{ROOT}")

    def bluepencil(self, *arguments: str, code: int = 0) -> str:
        done = self.run("stages", *arguments)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def run_pipeline(self) -> None:
        """Every stage in one process, then as DVC records it."""
        for command in (["tests.support.offline_run"], ["dvc", "commit", "--force", "--quiet"]):
            done = self.run(*command)
            assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]

    def set_params(self, changes: str) -> None:
        params = self.root / "params.yaml"
        params.write_text(with_overrides(params.read_text(), changes, place="round"))

    def bring_prompts(self, first: int) -> None:
        """As many prompts of the sample as a round needs, from this one on."""
        with (ROOT / "data/sample/prompts.jsonl").open(encoding="utf-8") as lines:
            (self.root / PROMPTS).write_text("".join(islice(lines, first, first + N_PROMPTS)))

    def rehearse(self) -> str:
        """Judge by simulated editors what a tiny random model cannot write; returns the rehearsal's id."""
        for model in ("base", "policy"):
            place = self.root / paths.generations(model)
            rows = read_jsonl(place, Generation)
            texts = {row.prompt_id: paragraph(row.prompt, model) for row in rows}
            sound = [{"completion": texts[row.prompt_id], "finish_reason": "eos"} for row in rows]
            write_jsonl(place, [row.model_copy(update=new) for row, new in zip(rows, sound, strict=True)])
        assert self.run("stages.blind").returncode == 0
        before = {*self.root.glob("study/rehearsal-*")}
        self.bluepencil("study", "rehearse")
        (new,) = {*self.root.glob("study/rehearsal-*")} - before
        return new.name

    def count_looks(self) -> int:
        """How often the held-out pairs were scored, as `data keep` says it."""
        found = re.search(r"have been scored (\d+) times", self.bluepencil("data", "keep"))
        assert found
        return int(found[1])

    def parts(self) -> dict[str, list[EarlierRow]]:
        return {part: list(describe_rows({part: self.root / path})) for part, path in FILES.items()}


def said(rows: list[EarlierRow]) -> set[str]:
    return {row.item for row in rows}


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> Rounds:
    root = copy_whole_repository(tmp_path_factory, tmp_path_factory.mktemp("rounds") / "owner")
    (root / "data/sample").mkdir(exist_ok=True)
    shutil.copy(ROOT / "data/sample/anchors.jsonl", root / "data/sample")
    return Rounds(root)


def test_two_rounds_share_no_held_out_pair_with_training(rounds: Rounds) -> None:
    first, name = rounds.parts(), rounds.rehearse()
    rounds.bluepencil("study", "harvest", "--to", PAIRS, name)
    rows = [json.loads(line) for line in (rounds.root / PAIRS).read_text().splitlines()]
    harvested = [row for row in rows if row.get("source") == f"study/{name}"]
    assert harvested
    assert all(row["synthetic"] for row in harvested)
    assert rounds.bluepencil("data", "check", PAIRS).startswith(f"{PAIRS}: fit to learn from")
    said_no = rounds.bluepencil("study", "harvest", "--to", PAIRS, name, code=1)
    assert "it is harvested already" in said_no

    rounds.bluepencil("repro", "validate")  # with the prompts of the study that was harvested
    violations = (rounds.root / "data/validate/violations.jsonl").read_text()
    found = [json.loads(line) for line in violations.splitlines()]
    stale = {row["pair_id"] for row in found if row["rule"] == NOT_FRESH}
    assert stale == {row["group_id"].split("/")[1] for row in harvested}
    assert all(f"pair {name}/" in row["found"] for row in found if row["rule"] == NOT_FRESH)

    n_looks = rounds.count_looks()
    rounds.set_params("split: {keep: data/kept/split.jsonl}")
    rounds.bring_prompts(N_PROMPTS)
    git(rounds.root, "add", "-A")
    git(rounds.root, "commit", "-q", "-m", "The second round")
    rounds.run_pipeline()
    second = rounds.parts()
    assert said(second["holdout"]) == said(first["holdout"])
    assert not said(second["holdout"]) & (said(first["train"]) | said(first["selection"]))
    assert not said(first["holdout"]) & (said(second["train"]) | said(second["selection"]))
    learned = {row.pair_id for part in ("train", "selection") for row in second[part]}
    assert learned & {row["pair_id"] for row in harvested}
    overlaps = read_json(rounds.root / "metrics/split.json")["split"]["overlaps"]
    assert not any(overlaps.values())

    assert rounds.count_looks() == n_looks + 1  # the old pairs, once more

    again = rounds.rehearse()
    assert again != name
    assert read_json(rounds.root / "metrics/winrate.json")["rehearsal"]["status"] == "complete"
