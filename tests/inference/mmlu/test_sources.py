import os
from collections import Counter
from pathlib import Path

import datasets
import pytest

from stages.errors import InputError
from stages.inference.mmlu.questions import CATEGORY_OF
from stages.inference.mmlu.sources import hub_allowed, load_bundled, load_csv, load_hub

REVISION = "0" * 40
ROW = "What is 1 + 1?,1,2,3,4,B\n"


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return folder


def test_the_bundled_questions_are_280_different_ones_of_57_subjects() -> None:
    found = load_bundled()
    assert len({(item.subject, item.question, *item.choices) for item in found.items}) == 280
    per_subject = Counter(item.subject for item in found.items)
    assert set(per_subject) == set(CATEGORY_OF)
    short = {subject: n for subject, n in per_subject.items() if n != 5}
    # of college_chemistry two are left out, of three others one each
    assert short == {"college_chemistry": 3, "college_physics": 4, "formal_logic": 4, "human_aging": 4}
    assert not found.examples


def test_bundled_options_hold_nothing_but_their_text() -> None:
    for item in load_bundled().items:
        assert not any(
            mark in text for text in [item.question, *item.choices] for mark in ("(A)", "(E) ", "\f")
        )
        assert all(choice and choice == choice.strip() for choice in item.choices)


def test_a_bundled_question_is_read_as_it_stands_in_mmlu() -> None:
    by_text = {item.question: item for item in load_bundled().items}
    ring = by_text["Find the characteristic of the ring 2Z."]  # freed from the line that slipped in
    assert (ring.subject, ring.choices, ring.gold) == ("abstract_algebra", ["0", "3", "12", "30"], 0)
    paint = next(item for text, item in by_text.items() if text.startswith("A store sells 107"))
    assert (paint.choices, paint.gold) == (["749", "2,675", "2,945", "4,250"], 1)  # options on four lines


def test_questions_come_from_test_and_examples_from_dev(tmp_path: Path) -> None:
    write(tmp_path, "test/anatomy_test.csv", ROW + "What is 2 + 2?,1,2,3,4,D\n")
    write(tmp_path, "val/anatomy_val.csv", "Not asked?,1,2,3,4,A\n")
    write(tmp_path, "dev/anatomy_dev.csv", "What is 3 - 0?,1,2,3,4,C\nWhat is 4 - 0?,1,2,3,4,D\n")
    found = load_csv(tmp_path, num_fewshot=1)
    assert [(item.subject, item.question, item.choices, item.gold) for item in found.items] == [
        ("anatomy", "What is 1 + 1?", ["1", "2", "3", "4"], 1),
        ("anatomy", "What is 2 + 2?", ["1", "2", "3", "4"], 3),
    ]
    assert [shown.question for shown in found.examples["anatomy"]] == ["What is 3 - 0?"]


def test_val_is_asked_where_there_is_no_test(tmp_path: Path) -> None:
    write(tmp_path, "val/anatomy_val.csv", ROW)
    assert len(load_csv(tmp_path, num_fewshot=0).items) == 1


def test_dev_is_never_asked(tmp_path: Path) -> None:
    write(tmp_path, "dev/anatomy_dev.csv", ROW)
    with pytest.raises(InputError, match=r"no test/<subject>_test\.csv or val/<subject>_val\.csv"):
        load_csv(tmp_path, num_fewshot=0)


def test_an_example_that_is_asked_too_is_not_shown(tmp_path: Path) -> None:
    write(tmp_path, "val/anatomy_val.csv", ROW)
    write(tmp_path, "dev/anatomy_dev.csv", ROW + "What is 4 - 0?,1,2,3,4,D\n")
    found = load_csv(tmp_path, num_fewshot=2)
    assert [shown.question for shown in found.examples["anatomy"]] == ["What is 4 - 0?"]
    assert load_csv(tmp_path, num_fewshot=1) == found  # the next one steps in


def test_line_ends_within_a_field_stay_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "val/anatomy_val.csv"
    file.parent.mkdir()
    file.write_bytes(b'"First\r\nthen\nlast?",1,2,3,4,B\r\n')
    (item,) = load_csv(tmp_path, num_fewshot=0).items
    assert (item.question, item.choices) == ("First\r\nthen\nlast?", ["1", "2", "3", "4"])


def test_a_quoted_field_may_hold_newlines_commas_and_quotes(tmp_path: Path) -> None:
    text = '"Read:\n\u2028said ""no"", and\n\nleft.",1,"2, or so",3,4,D\n\n'
    (item,) = load_csv(write(tmp_path, "val/anatomy_val.csv", text), num_fewshot=0).items
    assert item.question == 'Read:\n\u2028said "no", and\n\nleft.'
    assert item.choices == ["1", "2, or so", "3", "4"]


def test_a_byte_order_mark_is_no_part_of_the_question(tmp_path: Path) -> None:
    (item,) = load_csv(write(tmp_path, "val/anatomy_val.csv", "\ufeff" + ROW), num_fewshot=0).items
    assert item.question == "What is 1 + 1?"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        ("What is 1 + 1?,1,2,3,4,5,B\n", "line 1: 7 columns, 6 were expected"),
        ("What is 1 + 1?,1,2,3,B\n", "line 1: 5 columns, 6 were expected"),
        ("What is 1 + 1?,1,2, ,4,B\n", "line 1: option C is empty"),
        (ROW + "What is 1 + 1?,1,2,3,4,E\n", "line 2: the last column must be A, B, C or D, got 'E'"),
        ("question,A,B,C,D,answer\n", "got 'answer'"),
        ("What is 1 + 1?,1,2,3,4,\n", "got ''"),
        ("What is 1 + 1?,1,2,3,4,1\n", "got '1'"),
        (" ,1,2,3,4,A\n", "the question is empty"),
        ('"What is 1 + 1?,1,2,3,4,B\n', "not readable as CSV"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, "val/virology_val.csv", ROW)
    write(tmp_path, "val/anatomy_val.csv", text)
    with pytest.raises(InputError, match=r"anatomy_val\.csv") as caught:
        load_csv(tmp_path, num_fewshot=0)
    assert message in str(caught.value)
    assert "1 places" in str(caught.value)


def test_a_question_asked_twice_with_two_answers_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "val/anatomy_val.csv", "1 + 1?,1,2,3,4,B\n1 + 1?,4,3,2,1,B\n")
    with pytest.raises(
        InputError, match="anatomy: '1 [+] 1[?]' is asked twice, and its answer is once '2', once '3'"
    ):
        load_csv(tmp_path, num_fewshot=0)
    write(tmp_path, "val/anatomy_val.csv", "1 + 1?,1,2,3,4,B\n1 + 1?,4,3,2,1,C\n")
    assert len(load_csv(tmp_path, num_fewshot=0).items) == 2  # the same answer under another letter


def test_all_broken_places_are_counted_together(tmp_path: Path) -> None:
    write(tmp_path, "val/anatomy_val.csv", "What?,1,2,3,4,E\n" * 7)
    with pytest.raises(InputError, match="7 places break the MMLU layout"):
        load_csv(tmp_path, num_fewshot=0)


@pytest.mark.parametrize("name", ["val/astrology_val.csv", "val/anatomy_test.csv", "val/anatomy.csv"])
def test_a_file_of_no_mmlu_subject_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"is no <subject>_val\.csv of MMLU's 57 subjects"):
        load_csv(write(tmp_path, name, ROW), num_fewshot=0)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name a folder in the original MMLU layout"):
        load_csv(tmp_path / "nowhere", num_fewshot=0)


def test_a_subject_without_enough_examples_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "val/anatomy_val.csv", ROW)
    write(tmp_path, "val/virology_val.csv", ROW)
    write(tmp_path, "dev/virology_dev.csv", "What is 4 - 0?,1,2,3,4,D\n")
    with pytest.raises(
        InputError, match=r"num_fewshot is 1, but 1 subjects have fewer dev questions \(anatomy\)"
    ):
        load_csv(tmp_path, num_fewshot=1)


def hub_rows(**changes: object) -> datasets.Dataset:
    row = {"subject": "anatomy", "question": "What is 1 + 1?", "choices": ["1", "2", "3", "4"], "answer": 1}
    return datasets.Dataset.from_list([row | changes])


def test_the_hub_is_asked_for_the_pinned_revision_with_the_switches_lifted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    asked: list[object] = []

    def load_dataset(*args: object, **kwargs: object) -> dict[str, datasets.Dataset]:
        asked.append((args, kwargs, os.environ.get("HF_HUB_OFFLINE")))
        return {"test": hub_rows(), "dev": hub_rows(question="What is 4 - 2?")}

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    found = load_hub("cais/mmlu", REVISION, num_fewshot=1)
    assert asked == [(("cais/mmlu", "all"), {"revision": REVISION}, None)]
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert [item.question for item in found.items] == ["What is 1 + 1?"]
    assert [shown.question for shown in found.examples["anatomy"]] == ["What is 4 - 2?"]


@pytest.mark.parametrize("changes", [{"subject": "astrology"}, {"choices": ["1", "2", "3"]}, {"answer": 4}])
def test_a_hub_row_that_is_no_mmlu_question_is_refused(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *_, **__: {"test": hub_rows(**changes), "dev": hub_rows()}
    )
    with pytest.raises(InputError, match="cais/mmlu, row 1: is no MMLU question"):
        load_hub("cais/mmlu", REVISION, num_fewshot=0)


def test_a_hub_that_cannot_be_reached_is_an_error_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach 'cais/mmlu' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(InputError, match=r"set mmlu\.source to bundled or csv"):
        load_hub("cais/mmlu", REVISION, num_fewshot=0)


def test_the_offline_switches_are_back_after_the_hub_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.delenv("HF_DATASETS_OFFLINE", raising=False)
    seen: list[bool] = []

    def fail() -> None:
        with hub_allowed():
            seen.append(huggingface_hub.constants.HF_HUB_OFFLINE)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert seen == [False]
    assert huggingface_hub.constants.HF_HUB_OFFLINE is True
    assert "HF_DATASETS_OFFLINE" not in os.environ
