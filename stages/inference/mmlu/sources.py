"""Where MMLU questions come from: the lm-eval wheel, a folder of CSV files, or the hub.

Bundled: `lm_eval/tasks/mmlu/flan_cot_fewshot/*.yaml` holds MMLU's dev questions as chain-of-thought
examples. Of the 285, five are left out of the 280 used here: three are not in the wheel at all
(college_chemistry: titration of HgO; formal_logic: truth table of "E > (F . E) and ~E . F";
human_aging: who remains at home alone), one has been given a fifth option and the answer E
(college_chemistry: lines in the EPR spectrum), and one is in MMLU twice, which counts once
(college_physics: the refracting telescope).
"""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from stages.errors import InputError
from stages.files.io import read_text
from stages.inference.mmlu.questions import (
    CATEGORY_OF,
    LETTERS,
    N_OPTIONS,
    QuestionSet,
    leave_out_asked,
    make_questions,
)
from stages.run.hub import hub_allowed

Row = tuple[str, str, list[str], int]

N_ERRORS_SHOWN = 5
N_BUNDLED = 280
# "(A) .. (B) .. (C) .. (D) .." after the question, on one line or on four.
OPTIONS = re.compile(r"(.*?)\s*\n\(A\) (.*?)\s+\(B\) (.*?)\s+\(C\) (.*?)\s+\(D\) (.*)", re.DOTALL)
ANSWER = re.compile(r"The answer is \(([A-Z])\)\.?\s*$")
FIFTH_OPTION = " (E) "
# The end of one example's explanation has slipped to the head of the next question, broken "\f" and all.
STRAY = (
    "The symmetric group $S_n$ has $\nactorial{n}$ elements, "
    "hence it is not true that $S_{10}$ has 10 elements.\n"
)


def load_bundled() -> QuestionSet:
    """The 280 questions in the installed lm-eval; there are no examples to spare."""
    from importlib.util import find_spec

    spec = find_spec("lm_eval")
    if spec is None or spec.origin is None:
        raise InputError("mmlu.source bundled: lm-eval is not installed; run `make venv`")
    folder = Path(spec.origin).parent / "tasks/mmlu/flan_cot_fewshot"
    rows: dict[tuple[str, str], Row] = {}
    for path in sorted(folder.glob("mmlu_*.yaml")):
        for row in _read_bundled_subject(path):
            rows.setdefault((row[0], row[1]), row)
    if len(rows) != N_BUNDLED:
        raise InputError(
            f"{folder}: {N_BUNDLED} questions were expected, {len(rows)} could be read; "
            "install the lm-eval version that requirements.lock names"
        )
    return QuestionSet(items=make_questions(rows.values()), examples={})


def _read_bundled_subject(path: Path) -> Iterator[Row]:
    subject = path.stem.removeprefix("mmlu_")
    for sample in yaml.safe_load(read_text(path))["fewshot_config"]["samples"]:
        options = OPTIONS.fullmatch(sample["question"].removeprefix(STRAY))
        answer = ANSWER.search(sample["target"])
        if options and answer and answer[1] in LETTERS and FIFTH_OPTION not in options[5]:
            yield subject, options[1], [options[k].strip() for k in range(2, 6)], LETTERS.index(answer[1])


def load_csv(folder: Path, *, num_fewshot: int) -> QuestionSet:
    """Questions from a folder in MMLU's own layout: `test/` (or else `val/`), examples from `dev/`.

    One file a subject, `<subject>_test.csv`, without header: question, A, B, C, D, letter.
    """
    split = next((name for name in ("test", "val") if any((folder / name).glob("*.csv"))), None)
    if split is None:
        raise InputError(
            f"{folder}: no test/<subject>_test.csv or val/<subject>_val.csv; "
            "name a folder in the original MMLU layout in mmlu.csv_dir"
        )
    examples = _read_folder(folder / "dev", "dev") if num_fewshot else []
    return _assemble(
        _read_folder(folder / split, split), examples, num_fewshot=num_fewshot, place=str(folder)
    )


def _read_folder(folder: Path, split: str) -> list[Row]:
    rows: list[Row] = []
    problems: list[str] = []
    for path in sorted(folder.glob("*.csv")):
        subject = path.stem.removesuffix(f"_{split}")
        if subject == path.stem or subject not in CATEGORY_OF:
            problems.append(f"{path}: is no <subject>_{split}.csv of MMLU's 57 subjects; rename or remove it")
            continue
        _read_csv(path, subject, rows, problems)
    if problems:
        shown = "\n  ".join(problems[:N_ERRORS_SHOWN])
        raise InputError(f"{folder}: {len(problems)} places break the MMLU layout; correct them\n  {shown}")
    return rows


def _read_csv(path: Path, subject: str, rows: list[Row], problems: list[str]) -> None:
    """Append the rows of one file, or what is wrong with them; a quoted field may span lines.

    Its line ends stay as they are: a few of MMLU's questions have the Windows kind, and lm-eval shows those.
    """
    text = read_text(path, newline="").removeprefix("\ufeff")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    n_before = len(rows) + len(problems)
    try:
        for fields in filter(None, reader):  # an empty line is no row
            broken = _find_problem(fields)
            if broken:
                problems.append(f"{path}, line {reader.line_num}: {broken}")
            else:
                rows.append((subject, fields[0], fields[1:5], LETTERS.index(fields[5].strip())))
    except csv.Error as error:
        problems.append(f"{path}, line {reader.line_num}: not readable as CSV ({error}); check its quotes")
    if len(rows) + len(problems) == n_before:
        problems.append(f"{path}: is empty; put the subject's questions there or remove the file")


def _find_problem(fields: list[str]) -> str | None:
    if len(fields) != N_OPTIONS + 2:
        return f"{len(fields)} columns, 6 were expected (question, A, B, C, D, letter)"
    if fields[5].strip() not in set(LETTERS):
        return f"the last column must be A, B, C or D, got {fields[5]!r:.40}"
    if not fields[0].strip():
        return "the question is empty"
    empty = [letter for letter, option in zip(LETTERS, fields[1:5], strict=True) if not option.strip()]
    return f"option {empty[0]} is empty" if empty else None


def load_hub(repo_id: str, revision: str, *, num_fewshot: int) -> QuestionSet:
    """The test questions and dev examples of a pinned hub data set in the layout of cais/mmlu."""
    import datasets

    with hub_allowed():
        try:
            splits = datasets.load_dataset(repo_id, "all", revision=revision)
            items, examples = splits["test"], splits["dev"]
        except (OSError, ValueError, KeyError, datasets.exceptions.DatasetsError) as error:
            raise InputError(
                f"mmlu.source hub: {repo_id} at {revision} could not be loaded ({error}); "
                "check repo_id, revision and the network, or set mmlu.source to bundled or csv"
            ) from error
    shown = _read_hub(examples, repo_id) if num_fewshot else []
    return _assemble(_read_hub(items, repo_id), shown, num_fewshot=num_fewshot, place=repo_id)


def _read_hub(split: Any, place: str) -> list[Row]:
    rows = []
    for number, row in enumerate(split, start=1):
        if (
            row["subject"] not in CATEGORY_OF
            or len(row["choices"]) != N_OPTIONS
            or row["answer"] not in range(4)
        ):
            raise InputError(f"{place}, row {number}: is no MMLU question ({row!r:.80}); check mmlu.repo_id")
        if not all(choice.strip() for choice in row["choices"]):
            raise InputError(
                f"{place}, row {number}: an option is empty; bring a corrected set as mmlu.csv_dir"
            )
        rows.append((row["subject"], row["question"], list(row["choices"]), int(row["answer"])))
    return rows


def _refuse_two_answers(rows: list[Row], place: str) -> None:
    """InputError where a question with the same options stands twice and has two right answers."""
    answers: dict[tuple[str, tuple[str, ...]], str] = {}
    for subject, question, choices, gold in rows:
        options = [choice.strip() for choice in choices]
        answer = answers.setdefault((question.strip(), tuple(sorted(options))), options[gold])
        if answer != options[gold]:
            raise InputError(
                f"{place}, {subject}: {question.strip()!r:.80} is asked twice, and its answer is once "
                f"{answer!r:.40}, once {options[gold]!r:.40}; correct or remove one of the two"
            )


def _assemble(rows: list[Row], shown: list[Row], *, num_fewshot: int, place: str) -> QuestionSet:
    """Questions and their examples; every subject that is asked needs `num_fewshot` examples.

    One that is asked too gives way to the next; after the last, its subject is shown one fewer.
    """
    _refuse_two_answers(rows, place)
    items = make_questions(rows)
    by_subject: dict[str, list[Row]] = {row[0]: [] for row in rows}
    for row in shown:
        by_subject.setdefault(row[0], []).append(row)
    short = sorted(name for name, found in by_subject.items() if len(found) < num_fewshot)
    if short:
        raise InputError(
            f"{place}: mmlu.num_fewshot is {num_fewshot}, but {len(short)} subjects have fewer dev questions "
            f"({', '.join(short[:N_ERRORS_SHOWN])}); lower it or complete the dev files"
        )
    unasked = leave_out_asked(
        {subject: make_questions(found) for subject, found in by_subject.items()}, items
    )
    return QuestionSet(items, {subject: found[:num_fewshot] for subject, found in unasked.items()})
