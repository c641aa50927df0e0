"""Pairs, rows and settings with defaults, for tests that care about one field."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stages.data.audits import AuditLimits
from stages.data.forms.columns import PAIRS, match_columns
from stages.data.forms.rows import RawRow
from stages.data.forms.tables import Rows
from stages.data.rules import RULES, RuleSetting
from stages.data.shared_runs import RunLengths
from stages.data.validation import CheckedPairs, Settings, Violation, check_pairs, list_violations
from stages.files.pairs import PreferencePair

SUBJECTS = (
    "heron",
    "willow",
    "lantern",
    "copper",
    "saddle",
    "violet",
    "marble",
    "pepper",
    "anchor",
    "thistle",
)


def make_text(number: int, *, n_words: int = 12) -> str:
    """A sentence that shares no run of words with that of another number."""
    words = [f"{SUBJECTS[(number + place) % len(SUBJECTS)]}{number}x{place}" for place in range(n_words - 1)]
    return "Here " + " ".join(words) + "."


def make_pair(number: int = 1, **fields: Any) -> PreferencePair:
    """Pair `number`, unlike every other in each field."""
    return PreferencePair(
        **{
            "pair_id": f"p{number:04d}",
            "prompt": f"Write about subject number {number} please.",
            "chosen": make_text(2 * number),
            "rejected": make_text(2 * number + 1),
            "editor": None,
            "group_id": None,
            "section": None,
            "reviewed_at": None,
            "chosen_shown": None,
            "synthetic": False,
            **fields,
        }
    )


def make_raw(number: int = 1, **fields: Any) -> dict[str, Any]:
    """A raw row as an editor's file has it."""
    pair = make_pair(number)
    return {
        "pair_id": pair.pair_id,
        "prompt": pair.prompt,
        "chosen": pair.chosen,
        "rejected": pair.rejected,
        **fields,
    }


def make_settings(**changes: Any) -> Settings:
    """Every rule an error with no share allowed; those that only inform are warnings."""
    inform = {
        "pairs_are_not_near_duplicates",
        "sides_are_not_near_duplicates",
        "prompts_are_not_near_duplicates",
    }
    rules = {
        name: RuleSetting("warning" if name in inform else "error", 0.0, name not in inform) for name in RULES
    }
    return Settings(
        **{
            "min_words": 5,
            "max_words": 600,
            "similarity": 0.8,
            "lengths": RunLengths(13, 40),
            "rules": rules,
            "audit": AuditLimits(0.35, 0.65, 0.001, 0.68, 0.6, 30),
            **changes,
        }
    )


def check_raw(raws: Iterable[dict[str, Any]], **changes: Any) -> CheckedPairs:
    """Check raw rows as if they stood in a file, line by line."""
    rows = [RawRow(line, fields) for line, fields in enumerate(raws, start=1)]
    columns = match_columns(dict.fromkeys(name for row in rows for name in row.fields or {}), PAIRS, {})
    return check_pairs(Rows(rows, PAIRS, columns), columns, make_settings(**changes))


def violations_of(checked: CheckedPairs, rule: str) -> list[Violation]:
    """The violations of one rule."""
    return [one for one in list_violations(checked.rows, make_settings().rules) if one.rule == rule]


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """Write raw rows as JSONL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
