"""Checks a stream of rows against the rules: what breaks which rule, what is kept, what is odd."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.data.audits import Audit, AuditLimits, audit_pairs
from stages.data.components import LargestComponent, describe_largest, label_components, link_texts
from stages.data.forms.columns import Columns
from stages.data.forms.rows import Finding, RawRow, Reading, read_pair
from stages.data.pair_index import PairIndex, say_line
from stages.data.pair_rules import Compared, compare_rows
from stages.data.rules import RULES, About, RuleSetting
from stages.data.shared_runs import RunLengths
from stages.data.text_rules import farthest_word_count, find_in_pair
from stages.data.votes import Judged, VotesOfPair, describe_items, votes_of_pairs
from stages.files.record import Record

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Settings(NamedTuple):
    """From params.yaml `validate`, and the lengths of runs from `split`."""

    min_words: int
    max_words: int
    similarity: float
    lengths: RunLengths
    rules: Mapping[str, RuleSetting]
    audit: AuditLimits


class Violation(Record):
    """One rule broken by one row. `line` is the row's number in a Parquet file; `votes` are further ones."""

    file: Literal["pairs", "votes", "prompts"]
    line: int
    pair_id: str | None
    rule: str
    severity: Literal["error", "warning"]
    set_aside: bool
    found: str
    remedy: str


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
    `n_words` one per row: the words of the text that is farthest outside the limits. `votes_of` has, for a
    kept row of an item that several judged, all their votes.
    """

    rows: CheckedRows
    audit: Audit
    entries: PairIndex
    n_kept_synthetic: int
    kept_pairs: Flags
    row_of_entry: list[int]
    n_words: list[int]
    item_of_judged: Numbers  # of each entry of the index, then of its ties
    judged: Judged
    n_votes: int  # rows that are a vote on a kept pair, with the row that stands for the pair
    n_repeats: int  # rows in which an editor says once more what he said on a kept pair
    votes_of: Mapping[int, VotesOfPair]

    @property
    def n_set_aside(self) -> int:
        """Rows that are neither."""
        return self.rows.n_rows - self.n_votes - self.n_repeats


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
    n_indented = 0
    row_of_tie: list[int] = []
    unsound: set[int] = set()
    for number, row in enumerate(rows):
        reading, was_indented = read_whole(row, columns)
        n_indented += was_indented
        lines.append(reading.line)
        if reading.tie is not None:
            index.add_tie(reading.line, reading.tie)
            row_of_tie.append(number)
            reading = reading._replace(findings=())  # unless the item has a majority, see pair_rules
        found = list(_find(reading, settings))
        findings += [(number, finding) for finding in found]
        n_words.append(farthest_word_count(reading.pair, settings.min_words, settings.max_words))
        if reading.pair is None:
            ids[number] = reading.pair_id
            continue
        if any(settings.rules[finding.rule].set_aside for finding in found):
            unsound.add(len(index))
        index.add(reading.line, reading.pair)
        row_of_entry.append(number)
        synthetic.append(reading.pair.synthetic)
    texts = index.pair_texts
    links = link_texts(texts, similarity=settings.similarity, lengths=settings.lengths)
    near = links.near_duplicates
    sound = np.ones(len(index), dtype=bool)
    sound[list(unsound)] = False
    compared = compare_rows(index, near, sound, similarity=settings.similarity)
    row_of_judged = [*row_of_entry, *row_of_tie]
    findings += [(row_of_judged[one], finding) for one, finding in compared.findings]

    entries, names = index.column("id"), index.ids.all
    ids |= {row: names[number] for row, number in zip(row_of_entry, entries.tolist(), strict=True)}
    checked = collect_findings("pairs", lines, ids, findings, settings.rules)
    components = label_components(texts, links)
    counts = _count_rows(checked, compared, row_of_judged)
    kept = counts.stands[: len(index)]
    checked = checked._replace(
        kept=np.isin(np.arange(len(lines)), np.array(row_of_entry, dtype=np.int64)[kept])
    )
    audit = audit_pairs(index, kept, components, settings.audit)
    audit.numbers.update(
        n_conflicts=compared.n_conflicts,
        n_circles=compared.n_circles,
        n_near_duplicate_texts=len(near),
        n_extra_columns=len(columns.extra),
        n_pairs_with_leading_space=n_indented,
        n_texts_without_words=index.texts.n_without_words,
    )
    if len(index):
        audit.remarks.extend(_remark_on_texts(audit.numbers, describe_largest(texts, links), index))
    n_synthetic = int(np.array(synthetic, dtype=bool)[kept].sum())
    item = compared.rows.item[: len(index)]
    judged = describe_items(index, item, compared.counted, counts.kept_item, components)
    votes_of = {row_of_judged[one]: votes for one, votes in votes_of_pairs(compared.counted, judged)}
    return CheckedPairs(
        checked, audit, index, n_synthetic, kept, row_of_entry, n_words, compared.rows.item, judged,
        counts.n_votes, counts.n_repeats, votes_of,
    )  # fmt: skip


class _Counts(NamedTuple):
    stands: Flags  # per judged row: is it the row of a kept pair
    kept_item: Flags
    n_votes: int
    n_repeats: int


def _count_rows(checked: CheckedRows, compared: Compared, row_of_judged: Sequence[int]) -> _Counts:
    """A row that judges stands for a kept pair, is a further vote on one, repeats one, or is set aside."""
    rows, counted = compared.rows, compared.counted
    is_sound = checked.kept[row_of_judged] if row_of_judged else np.empty(0, dtype=bool)
    kept_item = counted.label_row >= 0
    kept_item[kept_item] = is_sound[counted.label_row[kept_item]]
    stands = np.zeros(len(rows.item), dtype=bool)
    stands[counted.label_row[kept_item]] = True
    of_kept = kept_item[rows.item] if len(rows.item) else stands
    n_votes = int((counted.is_vote & of_kept & is_sound).sum())
    return _Counts(stands, kept_item, n_votes, int((counted.is_repeat & of_kept).sum()))


MAX_SHARE_OF_COMPONENT = 0.2  # a larger one can hardly be held out, and is mostly boilerplate


def _remark_on_texts(
    numbers: Mapping[str, float | int], largest: LargestComponent, index: PairIndex
) -> Iterator[str]:
    """What concerns the comparison of texts with each other."""
    if largest.n_pairs > max(2, MAX_SHARE_OF_COMPONENT * largest.n_all):
        first, last = (say_line(index.column("line")[entry]) for entry in largest.examples)
        yield (
            f"One component is very large: {largest.in_words} (such as {first} and {last}). Pairs that "
            "are tied stay on one side of the split. Where it is boilerplate, see split.join_shared_words."
        )
    if n := numbers["n_pairs_with_leading_space"]:
        yield f"{n} pairs have line breaks or spaces before a completion: dropped, on both sides alike."
    if n := numbers["n_texts_without_words"]:
        yield (
            f"{n} texts have no spaces between words, in a script that is not known here: they are compared "
            "as wholes only, and nobody can say that no part of them stands on two sides of the split."
        )


def read_whole(row: RawRow, columns: Columns) -> tuple[Reading, bool]:
    """A row as it is judged and kept: line breaks and spaces before a completion are dropped, and said.

    The chat template puts its own white space there, so such a completion would be another text to the
    model than to the editor, and a tokenizer may join it with the prompt.
    """
    reading = read_pair(row, columns)
    if reading.pair is None:
        return reading, False
    pair = reading.pair.without_leading_space()
    return reading._replace(pair=pair), pair != reading.pair


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
            file="votes" if checked.lines[row] < 0 else checked.about,
            line=abs(checked.lines[row]),
            pair_id=checked.ids.get(row),
            rule=finding.rule,
            severity=rules[finding.rule].severity,
            set_aside=rules[finding.rule].set_aside,
            found=finding.found,
            remedy=RULES[finding.rule].remedy,
        )


def _find(reading: Reading, settings: Settings) -> Iterator[Finding]:
    yield from reading.findings
    if reading.pair is not None:
        yield from find_in_pair(reading.pair, min_words=settings.min_words, max_words=settings.max_words)
