"""A file of pairs checked by every rule: its results, its violations, its page."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stages.data.audits import AuditLimits
from stages.data.forms.columns import Columns
from stages.data.forms.rows import VOTE_SOURCES, RawRow, as_name, excerpt
from stages.data.forms.tables import open_pairs
from stages.data.page import (
    draw_length_differences,
    draw_names,
    pick_examples,
)
from stages.data.prompt_rules import CheckedPrompts
from stages.data.rules import RuleResult, RuleSetting, compare_rules, find_broken, judge_rules
from stages.data.shared_runs import RunLengths
from stages.data.validation import (
    CheckedPairs,
    CheckedRows,
    Settings,
    Violation,
    check_pairs,
    list_violations,
    read_whole,
)
from stages.errors import InputError, ParamsError
from stages.files.pairs import PreferencePair
from stages.pages.html import Link, render_page
from stages.run.params import Params

N_NAMED = 5
FIRST = VOTE_SOURCES[0]  # a vote that the file of the pairs has


class ValidatedPairs(NamedTuple):
    """A file of pairs, checked: its columns, its rows, and a result per rule."""

    columns: Columns
    checked: CheckedPairs
    results: list[RuleResult]
    rows: Iterable[RawRow]
    votes_remarks: Sequence[str] = ()

    @property
    def is_fit(self) -> bool:
        """Is there a pair to keep, and no error-level rule broken more often than allowed?"""
        return bool(self.checked.rows.kept.any()) and not find_broken(self.results)

    @property
    def remarks(self) -> list[str]:
        """What stands out and breaks no rule."""
        return [*self.columns.remarks, *self.votes_remarks, *self.checked.audit.remarks]


class LabelFindings(NamedTuple):
    """What the votes say, as `measures.agreement` finds it."""

    numbers: Mapping[str, Mapping[str, float | int | str]]
    table: Sequence[NamedTuple]
    remarks: Sequence[str]


def read_settings(params: Params) -> Settings:
    """The rules' settings; ParamsError where they are not those of the code."""
    validate, split = params.validate_, params.split
    rules = {name: RuleSetting(*dict(rule).values()) for name, rule in validate.rules.items()}
    if problems := compare_rules(rules):
        raise ParamsError("params.yaml `validate.rules`\n  " + "\n  ".join(problems))
    return Settings(
        min_words=validate.min_words,
        max_words=validate.max_words,
        similarity=validate.near_duplicate_similarity,
        lengths=RunLengths(split.join_shared_words, split.join_shared_prompt_words),
        rules=rules,
        audit=AuditLimits(**dict(validate.audit)),
    )


def validate_pairs(
    path: Path,
    mapping: Mapping[str, str],
    settings: Settings,
    sheet: str | None,
    votes: Path | None = None,
) -> ValidatedPairs:
    """Check a file of pairs with further votes on them; InputError where either cannot be read."""
    table = open_pairs(path, mapping, sheet)
    if votes is None:
        checked = check_pairs(table.rows, table.columns, settings)
        return ValidatedPairs(table.columns, checked, judge(checked.rows, settings), table.rows)
    further = open_pairs(votes, {})
    left_out = remark_on_sources(votes, further.rows)
    rows = PairsAndVotes(table.rows, further.rows, table.columns, further.columns)
    checked = check_pairs(rows, table.columns, settings)
    refuse_strangers(path, votes, checked)
    remarks = [f"Further votes: {remark}" for remark in (*further.columns.remarks, *left_out)]
    return ValidatedPairs(table.columns, checked, judge(checked.rows, settings), rows, remarks)


class PairsAndVotes:
    """The rows of the pairs, then the further votes with their lines below 0, both in the form of the pairs.

    First votes are left out: the file of the pairs has them.
    """

    def __init__(
        self, pairs: Iterable[RawRow], votes: Iterable[RawRow], pairs_form: Columns, votes_form: Columns
    ) -> None:
        self._pairs, self._votes, self._forms = pairs, votes, (pairs_form, votes_form)

    def __iter__(self) -> Iterator[RawRow]:
        """Every row, from the first."""
        yield from self._pairs
        for row in self._votes:
            if row.fields is None or as_name(row.fields.get("source")) != FIRST:
                yield row._replace(line=-row.line, form=self._forms[1])


def remark_on_sources(votes: Path, rows: Iterable[RawRow]) -> list[str]:
    """How many first votes are left out; InputError where that is all, or for a source that is none."""
    n_rows, n_first, odd = 0, 0, list[str]()
    for row in rows:
        source = as_name((row.fields or {}).get("source"))
        n_rows, n_first = n_rows + 1, n_first + (source == FIRST)
        if source is not None and source not in VOTE_SOURCES:
            odd.append(f"line {row.line}: {excerpt(source)}")
    if odd:
        raise InputError(
            f"{votes}: {len(odd)} votes have a source that is none ({', '.join(odd[:N_NAMED])}"
            f"{', ...' if odd[N_NAMED:] else ''}); write {', '.join(VOTE_SOURCES)}, or nothing"
        )
    if n_first == n_rows:
        raise InputError(
            f"{votes}: every vote has the source {FIRST}, so the file of the pairs has them all and none is "
            "further; leave the source of further votes empty, or set `data.votes: null`"
        )
    return (
        [f"{n_first} of {n_rows} rows have the source {FIRST} and are not counted again."] if n_first else []
    )


def refuse_strangers(path: Path, votes: Path, checked: CheckedPairs) -> None:
    """InputError where a further vote is on texts that no row of the pairs has."""
    index, judged = checked.entries, checked.item_of_judged
    lines = np.concatenate([index.column("line"), index.ties[0]])
    strange = np.flatnonzero((lines < 0) & ~np.isin(judged, judged[lines > 0]))
    if len(strange):
        named = ", ".join(str(-line) for line in sorted(lines[strange].tolist(), reverse=True)[:N_NAMED])
        raise InputError(
            f"{votes}: {len(strange)} votes are on texts that {path} does not have (line {named}"
            f"{', ...' if len(strange) > N_NAMED else ''}): a text or prompt has changed since it was "
            "judged. Put the text back, or take these lines out"
        )


def judge(rows: CheckedRows, settings: Settings) -> list[RuleResult]:
    """One result per rule about these rows."""
    return judge_rules(rows.n_violations, rows.n_rows, settings.rules)


def kept_pairs(path: Path, pairs: ValidatedPairs) -> Iterator[PreferencePair]:
    """Read the file once more and pass on what is kept: a million pairs do not fit in memory twice."""
    for number, (row, keep) in enumerate(zip(pairs.rows, pairs.checked.rows.kept, strict=True)):
        if keep:
            reading, _ = read_whole(row, pairs.columns)
            if reading.pair is None:
                raise InputError(f"{path}: line {row.line} has changed while it was read; run again")
            votes = pairs.checked.votes_of.get(number)
            yield reading.pair.model_copy(update=votes._asdict()) if votes else reading.pair


def all_violations(pairs: CheckedRows, prompts: CheckedRows, settings: Settings) -> Iterator[Violation]:
    """Those of the pairs, then those of the prompts."""
    yield from list_violations(pairs, settings.rules)
    yield from list_violations(prompts, settings.rules)


def render_report(
    pairs: ValidatedPairs,
    prompts: CheckedPrompts,
    results: list[RuleResult],
    metrics: dict[str, Any],
    settings: Settings,
    labels: LabelFindings,
    links: Sequence[Link],
) -> str:
    """The page a data owner reads; the same bytes for the same data, wherever it lies."""
    index, kept = pairs.checked.entries, pairs.checked.kept_pairs
    return render_page(
        "data/data_report.html.j2",
        links=links,
        metrics=metrics,
        results=results,
        examples=pick_examples(pairs.results, pairs.checked.rows, settings.rules),
        prompt_examples=pick_examples(results[len(pairs.results) :], prompts.rows, settings.rules),
        remarks=[*pairs.remarks, *labels.remarks],
        agreement_rows=labels.table,
        audit=pairs.checked.audit.numbers,
        extra_columns=pairs.columns.extra,
        lengths=draw_length_differences(index, kept),
        editors=draw_names(index.editors, index.column("editor")[kept], without="no editor named"),
        sections=draw_names(index.sections, index.column("section")[kept], without="no section named"),
    )


def refuse_nothing_kept(pairs: ValidatedPairs, path: Path) -> None:
    """InputError where every row is set aside."""
    rows = pairs.checked.rows
    if not rows.kept.any():
        worst = max(pairs.results, key=lambda result: result.n_violations)
        raise InputError(
            f"{path}: none of {rows.n_rows} rows can be kept; most often broken: {worst.rule} "
            f"({worst.n_violations} rows). `bluepencil data check {path}` shows every rule"
        )
