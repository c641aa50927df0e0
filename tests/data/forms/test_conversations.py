"""Message lists are read as TRL reads them, and give the token ids that TRL gives."""

import json
from pathlib import Path
from typing import Any

import pytest
from trl.data_utils import _tokenize, common_prefix_length, maybe_extract_prompt

from stages.data.forms.rows import Reading, read_pair
from stages.data.forms.tables import open_pairs
from stages.files.pairs import PreferencePair
from stages.model.rendering import render_pair
from tests.support.tiny_models import tiny_tokenizer

Turn = dict[str, str]


def turn(role: str, content: str) -> Turn:
    return {"role": role, "content": content}


def read(path: Path, *rows: dict[str, Any]) -> list[Reading]:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    table = open_pairs(path, {})
    return [read_pair(row, table.columns) for row in table.rows]


def make_rows(n: int) -> list[dict[str, Any]]:
    """Two turns under a system message, by turns with the prompt apart, inside both and as a text, too."""
    rows = []
    for number in range(n):
        start = [
            turn("system", f"You write for reader {number % 7}."),
            turn("user", f"Name river {number}."),
            turn("assistant", f"The Ouse {number}."),
            turn("user", "Write a sentence about it."),
        ]
        chosen = [turn("assistant", f"River {number} is slow and wide.")]
        rejected = [turn("assistant", f"It is river {number} that is utilised.")]
        forms = (
            {"prompt": start, "chosen": chosen, "rejected": rejected},
            {"chosen": start + chosen, "rejected": start + rejected},
            {"prompt": f"Name river {number}.", "chosen": start + chosen, "rejected": start + rejected},
        )
        rows.append({"id": f"c{number}", "prompt": None, **forms[number % 3]})
    return rows


def trl_ids(tokenizer: Any, row: dict[str, Any]) -> tuple[list[int], list[int], list[int]]:
    """Prompt, chosen and rejected as `DPOTrainer` tokenizes them (TRL 1.16, `tokenize_fn`)."""
    row = maybe_extract_prompt({name: value for name, value in row.items() if value is not None})
    prompt = _tokenize(tokenizer, row["prompt"], add_generation_prompt=True)["input_ids"]
    whole = [_tokenize(tokenizer, row["prompt"] + row[side])["input_ids"] for side in ("chosen", "rejected")]
    start = min(common_prefix_length(prompt, ids) for ids in whole)
    return prompt[:start], whole[0][start:], whole[1][start:]


def test_four_hundred_conversations_have_trls_token_ids(tmp_path: Path) -> None:
    rows, tokenizer = make_rows(400), tiny_tokenizer()
    readings = read(tmp_path / "a.jsonl", *rows)
    for row, reading in zip(rows, readings, strict=True):
        assert reading.pair is not None, reading.findings
        assert reading.pair.messages is not None
        assert tuple(render_pair(tokenizer, reading.pair)[1:]) == trl_ids(tokenizer, row)


def test_one_turn_of_each_is_the_same_pair_as_texts(tmp_path: Path) -> None:
    texts = {"id": "p", "prompt": "Say.", "chosen": "One.", "rejected": "Two."}
    user, one, two = turn("user", "Say."), turn("assistant", "One."), turn("assistant", "Two.")
    forms = [
        texts,
        {"id": "p", "prompt": [user], "chosen": [one], "rejected": [two]},
        {"id": "p", "chosen": [user, one], "rejected": [user, two]},
        {"id": "p", "prompt": "Say.", "chosen": [user, one], "rejected": [user, two]},
        {"id": "p", "prompt": "Say.", "chosen": [one], "rejected": [two]},
        {"id": "p", "prompt": [user], "chosen": [user, one], "rejected": [user, two]},
    ]
    pairs = [reading.pair for form in forms for reading in read(tmp_path / "a.jsonl", form)]
    assert pairs[0] is not None
    assert pairs == [pairs[0]] * len(forms)
    assert "messages" not in pairs[0].model_dump()


def test_a_persons_text_has_every_turn_but_the_systems_and_messages_survive_a_file(tmp_path: Path) -> None:
    (reading,) = read(tmp_path / "a.jsonl", make_rows(1)[0])
    pair = reading.pair
    assert pair is not None
    assert pair.prompt == "Name river 0.\n\nThe Ouse 0.\n\nWrite a sentence about it."
    assert pair.chosen == "River 0 is slow and wide."
    assert PreferencePair.model_validate_json(pair.model_dump_json()) == pair


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"chosen": [{"role": "assistant"}]}, "chosen, message 1 has no role and content"),
        ({"chosen": [turn("critic", "One.")]}, "has the role 'critic'"),
        ({"chosen": [{**turn("assistant", "One."), "name": "Bo"}]}, "has name; only role and content are read"),
        ({"chosen": []}, "chosen is list"),
        ({"chosen": [turn("user", "Say."), turn("user", "On.")]}, "must end with the user's turn"),
        ({"prompt": [turn("system", "Be kind.")]}, "the prompt must end with the user's turn"),
        ({"chosen": '[{"role": "assistant", "content": "One."}]', "rejected": "no"}, "written as text"),
        (
            {"prompt": "Say.", "chosen": "\n\nHuman: Say.\n\nAssistant: One.", "rejected": "\n\nHuman: Say.\n\nAssistant: Two."},
            "are transcripts that hold the prompt",
        ),
    ],
)  # fmt: skip
def test_what_is_no_conversation_is_named_and_kept_out(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    row = {"id": "p", "prompt": [turn("user", "Say.")], "chosen": [turn("assistant", "One.")]}
    sound = {**row, "rejected": [turn("assistant", "Two.")]}
    reading, other = read(tmp_path / "a.jsonl", {**sound, **changes}, {**sound, "id": "q"})
    assert other.pair is not None
    assert reading.pair is None
    assert [finding.rule for finding in reading.findings] == ["fields_have_their_type"]
    assert said in reading.findings[0].found


@pytest.mark.parametrize("odd", [[], {}, [{}], 3, True, None, {"a": []}, [["user"]]])
@pytest.mark.parametrize("place", ["role", "content", "message", "prompt"])
def test_what_is_no_message_is_named_and_never_raises(tmp_path: Path, place: str, odd: Any) -> None:
    start, end = turn("user", "Say it."), turn("assistant", "One.")
    message: Any = odd if place == "message" else {**start, place: odd} if place != "prompt" else start
    row = {"id": "x", "chosen": [message, end], "rejected": [message, turn("assistant", "Two.")]}
    if place == "prompt":
        row["prompt"] = odd
    (reading,) = read(tmp_path / "a.jsonl", row)
    if place == "prompt" and odd in (None, []):
        assert reading.pair is not None or "prompt" in reading.findings[0].found
    else:
        assert reading.pair is None
        assert reading.findings[0].rule == "fields_have_their_type"
