"""dvc.lock as a chain, on a pipeline of three stages."""

from typing import Any

import pytest

from stages.release.lineage import Number
from stages.release.lock_chain import check_chain, check_numbers, md5_of_out, parse_lock, upstream, writer_of


def entry(path: str, md5: str) -> dict[str, Any]:
    return {"path": path, "hash": "md5", "md5": md5, "size": 1}


def make_lock() -> dict[str, Any]:
    return {
        "schema": "2.0",
        "stages": {
            "split": {
                "cmd": "x",
                "deps": [entry("data/raw/pairs.jsonl", "r"), entry("stages/split.py", "c")],
                "params": {"params.yaml": {"split": {"salt": "s"}, "generate.n_prompts": 50}},
                "outs": [entry("data/split", "s.dir")],
            },
            "train": {
                "cmd": "x",
                "deps": [entry("data/split/train.jsonl", "t")],
                "outs": [entry("models", "m.dir")],
            },
            "gate": {
                "cmd": "x",
                "deps": [entry("models", "m.dir"), entry("data/split", "s.dir")],
                "outs": [entry("metrics/gate.json", "g")],
            },
        },
    }


PARAMS = {"split": {"salt": "s"}, "generate": {"n_prompts": 50}}


def misfits(lock: dict[str, Any], md5s: dict[str, str] | None = None, params: Any = None) -> list[str]:
    found = check_chain(parse_lock(lock), md5s=md5s or {}, params=params or PARAMS)
    return [f"{one.file}: {one.rule} ({one.expected}, {one.found})" for one in found]


def test_a_number_goes_back_to_raw_data_through_files_inside_of_folders() -> None:
    names, raw = upstream(parse_lock(make_lock()), "metrics/gate.json")
    assert names == ["gate", "train", "split"]
    assert [one.path for one in raw] == ["data/raw/pairs.jsonl", "stages/split.py"]
    assert writer_of(parse_lock(make_lock()), "data/raw/pairs.jsonl") is None
    assert upstream(parse_lock(make_lock()), "data/raw/pairs.jsonl") == ([], [])


def test_a_sound_chain_has_no_misfit() -> None:
    assert misfits(make_lock(), {"metrics/gate.json": "g"}) == []


def test_a_copy_of_another_file_is_named() -> None:
    assert misfits(make_lock(), {"metrics/gate.json": "x"}) == [
        "metrics/gate.json: differs from its hash in dvc.lock (g, x)"
    ]
    assert misfits(make_lock(), {"metrics/other.json": "x"}) == [
        "metrics/other.json: differs from its hash in dvc.lock (no stage wrote it, x)"
    ]


def test_a_broken_hand_over_is_named() -> None:
    lock = make_lock()
    lock["stages"]["gate"]["deps"][0]["md5"] = "old.dir"
    assert misfits(lock) == [
        "models: was read by stage gate in another state than it was written in (m.dir, old.dir)"
    ]


def test_a_parameter_that_a_stage_was_not_run_with_is_named() -> None:
    changed = {"split": {"salt": "s"}, "generate": {"n_prompts": 40}}
    assert misfits(make_lock(), params=changed) == [
        "params.yaml: generate.n_prompts is not what stage split was run with (50, 40)"
    ]


@pytest.mark.parametrize(
    "lock", ["x", {}, {"stages": []}, {"stages": {"a": []}}, {"stages": {"a": {"outs": [{}]}}}]
)
def test_what_is_no_lock_is_refused(lock: Any) -> None:
    with pytest.raises(ValueError, match=r"has no `stages`|stage a is not as DVC writes it"):
        parse_lock(lock)


def test_an_out_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="no stage has the out x"):
        md5_of_out(parse_lock(make_lock()), "x")


def test_a_number_that_its_file_does_not_hold_is_named() -> None:
    numbers = [Number(file="m.json", name=name, value=0.5) for name in ("a.x", "a.y", "b")]
    [first, second] = check_numbers(numbers, {"m.json": {"a": {"x": 0.5, "y": 0.6}}})
    assert (first.rule, first.found) == ("a.y differs", "0.6")
    assert (second.rule, second.found) == ("b differs", "None")


def test_a_key_that_has_moved_since_a_release_is_named_and_no_other() -> None:
    lock = make_lock()
    lock["stages"]["train"]["params"] = {"params.yaml": {"runtime.max_length": 1024}}
    of_its_day = {**PARAMS, "runtime": {"max_length": 1024}}
    assert misfits(lock, params=of_its_day) == []  # a release carries its own params.yaml
    assert misfits(lock, params={**PARAMS, "rows": {"max_length": 1024}}) == [
        "params.yaml: runtime.max_length is not what stage train was run with (1024, None)"
    ]
