import json
import re
from pathlib import Path

import yaml

from stages.data.rules import RULES
from stages.files.numbers import percent

REPOSITORY = Path(__file__).parent.parent.parent
DOC = (REPOSITORY / "docs/data.md").read_text(encoding="utf-8")


def test_the_table_of_rules_is_that_of_the_code_and_of_the_parameters():
    settings = yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))["validate"]["rules"]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (\w+) \| (\d+ %) \| (yes|no) \|$", DOC, re.MULTILINE)
    assert rows == [
        (
            name,
            rule.sentence,
            settings[name]["severity"],
            percent(settings[name]["allowed_share"], places=0),
            "yes" if settings[name]["set_aside"] else "no",
        )
        for name, rule in RULES.items()
    ]


def test_the_ten_paragraphs_stand_in_the_corpus():
    lines = (REPOSITORY / "data/sample/pairs.jsonl").read_text(encoding="utf-8").splitlines()
    pairs = {row["pair_id"]: row for row in map(json.loads, lines)}
    pasted = re.findall(r"\(`(sample-\d+)`, (preferred|not preferred);.*?\)\n\n> (.+)", DOC)
    assert len(pasted) == 10
    for pair_id, verdict, text in pasted:
        assert pairs[pair_id]["chosen" if verdict == "preferred" else "rejected"] == text


def test_the_ceiling_is_the_true_one():
    truth = json.loads((REPOSITORY / "data/sample/truth.json").read_text(encoding="utf-8"))
    assert f"| {percent(truth['bayes_ceiling'])} |" in DOC
