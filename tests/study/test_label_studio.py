"""Label Studio's JSON export, read as it is documented: tasks, annotations, results by type."""

from typing import Any

import pytest

from stages.study.label_studio import describe_left_out, read_export


def make_part(kind: str = "pairwise", **value: Any) -> dict[str, Any]:
    return {"id": "x1", "from_name": "better", "to_name": "left,right", "type": kind, "value": value}


def make_annotation(*parts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": 7,
        "completed_by": 3,
        "result": list(parts) or [make_part(selected="left")],
        "was_cancelled": False,
        "ground_truth": False,
        "lead_time": 21.4,
        **changes,
    }


def make_task(*annotations: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {
        "id": 41,
        "data": {"prompt_id": "p1", "left": "policy", "text1": "One.", "text2": "Two.", **data},
        "annotations": list(annotations) or [make_annotation()],
        "predictions": [{"result": [make_part(selected="right")]}],
        "meta": {},
    }


def test_a_selected_side_becomes_a_choice_by_its_annotator() -> None:
    (judged,) = read_export([make_task(policy_chars=120, base_chars=80)], {})
    assert judged.problem == ""
    assert judged.cells == {
        "prompt_id": "p1",
        "left": "policy",
        "policy_chars": "120",
        "base_chars": "80",
        "editor": "3",
        "choice": "left",
    }


@pytest.mark.parametrize(
    ("completed_by", "editor"),
    [(3, "3"), ({"id": 3, "email": "ann@example.org"}, "ann@example.org"), ({"id": 3}, "3"), (None, "")],
)
def test_an_annotator_is_a_number_or_an_address(completed_by: object, editor: str) -> None:
    (judged,) = read_export([make_task(make_annotation(completed_by=completed_by))], {})
    assert judged.cells["editor"] == editor


def test_a_tie_is_the_choice_of_a_control_beside_the_pair() -> None:
    note = make_part("textarea", text=["Both are fine."])
    (judged,) = read_export([make_task(make_annotation(make_part("choices", choices=["Tie"]), note))], {})
    assert judged.cells["choice"] == "tie"


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([make_part("textarea", text=["?"])], "chooses nothing"),
        ([make_part(selected="left"), make_part("choices", choices=["tie"])], "chooses 'left' and 'tie'"),
        ([{"type": "pairwise", "value": None}, "odd"], "chooses nothing"),
    ],
)
def test_an_annotation_without_one_choice_is_named(parts: list[Any], said: str) -> None:
    (judged,) = read_export([make_task(make_annotation(*parts))], {})
    assert judged.place == "task 41, annotation 1"
    assert said in judged.problem


def test_skipped_annotations_are_no_judgements() -> None:
    task = make_task(make_annotation(was_cancelled=True, result=[]), make_annotation())
    assert [judged.cells["choice"] for judged in read_export([task], {})] == ["left"]


def test_what_is_left_out_is_counted() -> None:
    skipped = make_annotation(was_cancelled=True)
    tasks = [
        make_task(skipped, make_annotation()),
        {**make_task(skipped), "id": 42},
        {**make_task(), "annotations": []},
    ]
    said = list(describe_left_out(tasks, {"p1": {}, "p9": {}}))
    assert said == [
        "2 annotations were skipped by their editor and are left out.",
        "2 tasks have no judgement and are left out: 42, 41.",
        "1 lines of the sides are of prompts that no task has: p9.",
    ]
    assert list(describe_left_out([make_task()], {})) == []


def test_sides_come_from_the_task_or_from_a_table_and_never_from_both() -> None:
    task = make_task()
    (judged,) = read_export([task], {"p1": {"prompt_id": "p1", "left": "base"}})
    assert "so does the table of sides" in judged.problem
    del task["data"]["left"]
    (judged,) = read_export([task], {"p1": {"prompt_id": "p1", "left": "base"}})
    assert judged.cells["left"] == "base"


@pytest.mark.parametrize(
    "task",
    [
        {"prompt_id": "p1", "better": "left"},  # JSON-MIN
        {"data": [], "annotations": []},
        {"data": {}, "annotations": None},
        "no task",
    ],
)
def test_what_is_no_task_is_named(task: object) -> None:
    (judged,) = read_export([task], {})
    assert "export in the format JSON, not JSON-MIN" in judged.problem


def test_an_annotation_without_a_result_is_named() -> None:
    task = make_task()
    task["annotations"] = ["odd", {"id": 2}]
    assert [judged.problem for judged in read_export([task], {})] == ["has no result"] * 2


@pytest.mark.parametrize("export", [{"tasks": []}, "text", None, 3])
def test_what_is_no_list_is_no_export(export: object) -> None:
    with pytest.raises(ValueError, match="a list of tasks"):
        list(read_export(export, {}))
