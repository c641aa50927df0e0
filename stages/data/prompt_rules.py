"""The rules of the fresh prompts."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from stages.data.forms.rows import Finding, RawRow, read_prompt
from stages.data.near_duplicates import find_near_duplicates
from stages.data.pair_index import PairIndex, say_line
from stages.data.shared_runs import RunLengths, find_shared_runs
from stages.data.texts import TextTable, normalise, text_key
from stages.data.validation import CheckedRows, Settings, collect_findings
from stages.files.pairs import Prompt


class CheckedPrompts(NamedTuple):
    """The rows, and the prompts that are kept."""

    rows: CheckedRows
    prompts: list[Prompt]


def check_prompts(rows: Iterable[RawRow], index: PairIndex, settings: Settings) -> CheckedPrompts:
    """Check the prompts among themselves and against the pairs' prompts and texts in `index`."""
    lines, ids, prompts = list[int](), dict[int, str | None](), list[Prompt | None]()
    findings: list[tuple[int, Finding]] = []
    seen: dict[tuple[str, object], int] = {}
    table = TextTable()
    numbers, others = dict[int, int](), dict[int, str]()
    ties = dict(zip(index.ties[3].tolist(), index.ties[0].tolist(), strict=True))
    for number, row in enumerate(rows):
        prompt, problem = read_prompt(row)
        lines.append(row.line)
        prompts.append(prompt)
        if prompt is None:
            findings.append((number, Finding("prompts_are_readable", problem)))
            continue
        ids[number] = prompt.prompt_id
        numbers[number] = table.add(prompt.prompt)
        firsts = {
            what: seen.setdefault((what, value), row.line)
            for what, value in (("id", prompt.prompt_id), ("prompt", numbers[number]))
        }
        if alike := [f"line {line} has the same {what}" for what, line in firsts.items() if line != row.line]:
            findings.append(
                (number, Finding("prompts_are_unique", ", ".join(alike)))
            )  # one a row: rows count
        if place := _place_in_pairs(prompt.prompt, index, ties):
            findings.append((number, Finding("prompts_are_fresh", f"it stands in {place}")))
        else:
            others[number] = prompt.prompt
    findings += _stale(others, index, settings.lengths)
    findings += _near_duplicates(numbers, lines, table, similarity=settings.similarity)
    checked = collect_findings("prompts", lines, ids, findings, settings.rules)
    kept = [prompt for prompt, keep in zip(prompts, checked.kept, strict=True) if keep and prompt is not None]
    return CheckedPrompts(checked, kept)


def _place_in_pairs(prompt: str, index: PairIndex, ties: Mapping[int, int]) -> str:
    """The pair that has this very text, "" where none has; `ties` has the line of each undecided prompt."""
    text, line = index.texts.find(prompt), ties.get(text_key(normalise(prompt)))
    if text is None:
        return "" if line is None else f"{_of_pairs(line)}, a tie"
    texts = index.pair_texts
    entry = int(((texts.prompts == text) | (texts.chosen == text) | (texts.rejected == text)).argmax())
    return f"pair {index.ids.all[index.column('id')[entry]]}, {_of_pairs(index.column('line')[entry])}"


def _of_pairs(line: int) -> str:
    return say_line(line) + (" of the pairs" if line > 0 else "")


def _stale(prompts: dict[int, str], index: PairIndex, lengths: RunLengths) -> list[tuple[int, Finding]]:
    """Prompts that hold words of a pair, as "Improve this paragraph: ..." with a text of training does."""
    texts, rows = index.pair_texts, list(prompts)
    shared = find_shared_runs(list(prompts.values()), index.texts, texts.is_prompt, lengths)
    found = []
    for place, (text, words) in shared.items():
        holds = (texts.prompts == text) | (texts.chosen == text) | (texts.rejected == text)
        line = index.column("line")[int(holds.argmax())]
        found.append((rows[place], Finding("prompts_are_fresh", f"{_of_pairs(line)} holds {words!r} too")))
    return found


def _near_duplicates(
    numbers: dict[int, int], lines: list[int], table: TextTable, *, similarity: float
) -> list[tuple[int, Finding]]:
    """Prompts that resemble each other; one finding per prompt."""
    found = find_near_duplicates(table.words, table.ends, similarity=similarity)
    row_of = {text: row for row, text in reversed(numbers.items())}
    others: dict[int, int] = {}
    for link in found:
        others.setdefault(row_of[link.first], lines[row_of[link.second]])
        others.setdefault(row_of[link.second], lines[row_of[link.first]])
    return [
        (row, Finding("prompts_are_not_near_duplicates", f"much like line {line}"))
        for row, line in others.items()
    ]
