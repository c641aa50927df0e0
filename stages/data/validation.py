"""Checks a stream of rows against the rules: what breaks which rule, what is kept, what is odd."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.data.audits import Audit, AuditLimits, audit_pairs
from stages.data.components import TextLinks, label_components
from stages.data.forms.rows import Columns, Finding, RawRow, Reading, read_pair
from stages.data.near_duplicates import find_near_duplicates
from stages.data.pair_index import PairIndex
from stages.data.pair_rules import compare_rows
from stages.data.rules import RULES, About, RuleSetting
from stages.data.text_rules import farthest_word_count, find_in_pair
from stages.files.record import Record

Flags = NDArray[np.bool_]


class Settings(NamedTuple):
    """From params.yaml `validate`."""

    min_words: int
    max_words: int
    similarity: float
    rules: Mapping[str, RuleSetting]
    audit: AuditLimits


class Violation(Record):
    """One rule broken by one row. `line` is the row's number in a Parquet file."""

    file: About
    line: int
    pair_id: str | None
    rule: str
    severity: Literal["error", "warning"]
    set_aside: bool
    found: str
    mend: str


class CheckedRows(NamedTuple):
    """Rows as read, by their place: line, id, whether kept, and per rule whether it holds."""

    about: About
    lines: Sequence[int]
    ids: Mapping[int, str | None]
    kept: Flags
    findings: list[tuple[int, Finding]]
    holds: dict[str, Flags]

    @property
    def n_rows(self) -> int:
        """Rows that came, kept or set aside."""
        return len(self.lines)

    @property
    def n_kept(self) -> int:
        """Rows that no such rule sets aside."""
        return int(self.kept.sum())

    @property
    def n_violations(self) -> dict[str, int]:
        """Rows that break each rule."""
        return {rule: int((~flags).sum()) for rule, flags in self.holds.items()}


class CheckedPairs(NamedTuple):
    """The rows, and what the audits say about those that were kept.

    `kept_pairs` and `row_of_entry` have one value per entry of the index, that is per row with a pair;
    `n_words` one per row: the words of the text that is farthest outside the limits.
    """

    rows: CheckedRows
    audit: Audit
    entries: PairIndex
    n_kept_synthetic: int
    kept_pairs: Flags
    row_of_entry: list[int]
    n_words: list[int]


def check_pairs(rows: Iterable[RawRow], columns: Columns, settings: Settings) -> CheckedPairs:
    """Check every row; the rows are read once and not held."""
    index, findings, ids, row_of_entry = (
        PairIndex(),
        list[tuple[int, Finding]](),
        dict[int, str | None](),
        list[int](),
    )
    lines, n_words = list[int](), list[int]()
    synthetic: list[bool] = []
    for number, reading in enumerate(read_pair(row, columns) for row in rows):
        lines.append(reading.line)
        found = list(_find(reading, settings))
        findings += [(number, finding) for finding in found]
        n_words.append(farthest_word_count(reading.pair, settings.min_words, settings.max_words))
        if reading.pair is None:
            ids[number] = reading.pair_id
            continue
        index.add(reading.line, reading.pair)
        row_of_entry.append(number)
        synthetic.append(reading.pair.synthetic)
    near = find_near_duplicates(index.texts.words, index.texts.ends, similarity=settings.similarity)
    compared = compare_rows(index, near, similarity=settings.similarity)
    findings += [(row_of_entry[entry], finding) for entry, finding in compared.findings]

    entries, names = index.column("id"), index.ids.all
    ids |= {row: names[number] for row, number in zip(row_of_entry, entries.tolist(), strict=True)}
    checked = collect_findings("pairs", lines, ids, findings, settings.rules)
    kept = checked.kept[row_of_entry]
    components = label_components(index.pair_texts, TextLinks(near, np.empty((0, 2), dtype=np.int64)))
    audit = audit_pairs(index, kept, components, settings.audit)
    audit.numbers.update(
        n_conflicts=compared.n_conflicts,
        n_circles=compared.n_circles,
        n_near_duplicate_texts=len(near),
        n_extra_columns=len(columns.extra),
    )
    n_synthetic = int(np.array(synthetic, dtype=bool)[kept].sum())
    return CheckedPairs(checked, audit, index, n_synthetic, kept, row_of_entry, n_words)


def collect_findings(
    about: About,
    lines: Sequence[int],
    ids: Mapping[int, str | None],
    findings: Iterable[tuple[int, Finding]],
    rules: Mapping[str, RuleSetting],
) -> CheckedRows:
    """Sort the findings by row, and put the rows aside that break such a rule."""
    holds = {name: np.ones(len(lines), dtype=bool) for name in RULES if RULES[name].about == about}
    ordered = sorted(findings)
    for row, finding in ordered:
        holds[finding.rule][row] = False
    kept = np.ones(len(lines), dtype=bool)
    for name, flags in holds.items():
        if rules[name].set_aside:
            kept &= flags
    return CheckedRows(about, lines, ids, kept, ordered, holds)


def list_violations(checked: CheckedRows, rules: Mapping[str, RuleSetting]) -> Iterator[Violation]:
    """The rows of `violations.jsonl`, by line and rule."""
    for row, finding in checked.findings:
        yield Violation(
            file=checked.about,
            line=checked.lines[row],
            pair_id=checked.ids.get(row),
            rule=finding.rule,
            severity=rules[finding.rule].severity,
            set_aside=rules[finding.rule].set_aside,
            found=finding.found,
            mend=RULES[finding.rule].mend,
        )


def _find(reading: Reading, settings: Settings) -> Iterator[Finding]:
    yield from reading.findings
    if reading.pair is not None:
        yield from find_in_pair(reading.pair, min_words=settings.min_words, max_words=settings.max_words)
