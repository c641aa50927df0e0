"""`bluepencil data`: are these pairs fit to learn from, and which were held out? For people and for CI."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.errors import InputError
from stages.files.json_text import dump_json
from stages.files.numbers import percent
from stages.run.params import SplitParams, load_params

if TYPE_CHECKING:
    from stages.data.checking import LabelFindings, ValidatedPairs
    from stages.data.page import RuleExamples

app = typer.Typer(help="Check preference pairs.", no_args_is_help=True, pretty_exceptions_enable=False)

BROKEN = 1
N_SHOWN_WITHIN = 2  # lines of a rule that is broken no more often than allowed


@app.callback()
def data() -> None:
    """Check preference pairs."""


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="Pairs, in any form of docs/data.md.", show_default=False)],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the same findings as one JSON object.")
    ] = False,
    show_all: Annotated[
        bool, typer.Option("--all", help="Show every line that breaks a rule, not only the first.")
    ] = False,
    expectations: Annotated[
        bool,
        typer.Option("--expectations", help="Count a second time with Great Expectations, as validate does."),
    ] = False,
    columns: Annotated[
        list[str] | None,
        typer.Option(help="A column's name in the file and ours, `theirs=ours`; may be given again."),
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="The sheet of a spreadsheet that has several.")] = None,
    votes: Annotated[Path | None, typer.Option(help="A file of further votes on these pairs.")] = None,
) -> None:
    """Check PATH against the rules of params.yaml.

    Exits 0 where the pairs are fit, 1 where they break an error-level rule more often than
    allowed, 2 where they cannot be read.
    """
    from stages.data.checking import read_settings, validate_pairs
    from stages.data.page import N_EXAMPLES, pick_examples
    from stages.measures.agreement import find_in_labels

    params = load_params()
    settings = read_settings(params)
    mapping = parse_columns(columns) if columns else params.data.columns
    sheet = sheet or (params.data.sheet if str(path) == params.data.pairs else None)
    if votes is None and params.data.votes and str(path) == params.data.pairs:
        votes = Path(params.data.votes)
    pairs = validate_pairs(path, mapping, settings, sheet, votes)
    if expectations:
        from stages.data.great_expectations import confirm_results, derive_frame

        confirm_results("pairs", derive_frame(pairs.checked), pairs.results, settings)
    found = pick_examples(
        pairs.results, pairs.checked.rows, settings.rules, at_most=None if show_all else N_EXAMPLES
    )
    labels = find_in_labels(pairs.checked.judged, settings.audit.agreement_above)
    remarks = [*pairs.remarks, *labels.remarks, *remark_on_number(pairs, params.split)]
    if as_json:
        typer.echo(dump_json(describe_check(pairs, found, labels, remarks), indent=2))
    else:
        from stages.pages.terminal import print_lines

        print_lines(list(write_findings(path, pairs, found, labels, remarks, show_all=show_all)))
    if not pairs.is_fit:
        raise typer.Exit(BROKEN)


@app.command()
def keep(
    path: Annotated[Path, typer.Argument(help="Where to write it, in data/kept/.")] = Path(
        "data/kept/split.jsonl"
    ),
) -> None:
    """Keep the last split, so that its held-out pairs stay held out when the data or the rules change."""
    from stages.data.earlier_split import FILES, describe_rows, read_kept, read_last_split
    from stages.files.io import write_jsonl
    from stages.repository.git import has_revision

    refuse_to_overwrite(path)
    last = read_last_split()
    rows = list(describe_rows(dict(FILES))) if last is None else last.rows
    if rows is None:
        raise InputError("dvc.lock: the files of the last split are not in the DVC cache; run `dvc pull`")
    write_jsonl(path, rows)
    n_held_out = sum(row.part == "holdout" for row in read_kept(path))
    n_others = len(rows) - n_held_out
    typer.echo(f"{path}: {n_held_out:,} held-out pairs and {n_others:,} others of the last split")
    if last is not None and has_revision("HEAD"):  # looks are counted in git
        from stages.decision.wording import times
        from stages.variants.compare import count_all_looks
        from stages.variants.experiments import list_experiments

        everything = list_experiments()
        n_looks = count_all_looks(everything, everything[0])  # the workspace
        typer.echo(
            f"these held-out pairs have been scored {times(n_looks)}; "
            "a round that keeps them counts on from there"
        )
    typer.echo(f"set `split.keep: {path}` in params.yaml, commit both, and run `dvc repro`")


def parse_columns(columns: list[str]) -> dict[str, str]:
    """`theirs=ours` as a mapping; a mistake ends the command with exit code 2."""
    mapping = dict(column.partition("=")[::2] for column in columns)
    if not all(theirs and ours for theirs, ours in mapping.items()):
        raise typer.BadParameter(f"theirs=ours was expected, got {' '.join(columns)}", param_hint="--columns")
    return mapping


def remark_on_number(pairs: "ValidatedPairs", split: SplitParams) -> Iterator[str]:
    """Where `split` will refuse so few pairs, whatever ties them together."""
    n_kept = pairs.checked.rows.n_kept
    if n_kept <= split.n_holdout + split.n_selection:
        yield (
            f"Of {n_kept:,} pairs, split.n_holdout {split.n_holdout:,} and split.n_selection "
            f"{split.n_selection:,} leave none to train on, so `split` will refuse them: lower both in "
            "params.yaml, or add pairs."
        )


def describe_check(
    pairs: "ValidatedPairs", found: "list[RuleExamples]", labels: "LabelFindings", remarks: Sequence[str]
) -> dict[str, Any]:
    """The counts, the verdict, what stands out, and one entry per rule with the lines that break it.

    `n_votes`, `n_repeats` and `n_set_aside` add up to `n_rows`; `n_kept` are the pairs that the votes make.
    """
    rows = pairs.checked.rows
    lines = {
        group.result.rule: [
            {"line": one.line, "pair_id": one.pair_id, "found": one.found}
            | ({"file": "votes"} if one.file == "votes" else {})
            for one in group.examples
        ]
        for group in found
    }
    return {
        "n_rows": rows.n_rows,
        "n_kept": rows.n_kept,
        "n_votes": pairs.checked.n_votes,
        "n_repeats": pairs.checked.n_repeats,
        "n_set_aside": pairs.checked.n_set_aside,
        "ok": pairs.is_fit,
        **labels.numbers,
        "agreement_by": [row._asdict() for row in labels.table],
        "remarks": remarks,
        "rules": [{**result._asdict(), "violations": lines.get(result.rule, [])} for result in pairs.results],
    }


def write_findings(
    path: Path,
    pairs: "ValidatedPairs",
    found: "list[RuleExamples]",
    labels: "LabelFindings",
    remarks: Sequence[str],
    *,
    show_all: bool,
) -> Iterator[str]:
    """Lines for people: the verdict, each rule that is broken with its first lines, what stands out."""
    from stages.data.page import count_kept

    rows, checked = pairs.checked.rows, pairs.checked
    verdict = "fit to learn from" if pairs.is_fit else "NOT fit to learn from"
    counts = count_kept(
        n_kept=rows.n_kept,
        n_votes=checked.n_votes,
        n_repeats=checked.n_repeats,
        n_set_aside=checked.n_set_aside,
    )
    yield f"{path}: {verdict}: {rows.n_rows:,} rows, {counts}"
    for group in sorted(found, key=lambda group: (group.result.passed, group.result.severity)):
        n_shown = N_SHOWN_WITHIN if group.result.passed and not show_all else len(group.examples)
        yield from _write_rule(group._replace(examples=group.examples[:n_shown]), rows.n_rows)
    yield ""
    yield f"{len(pairs.results) - len(found)} rules hold"
    yield from say_labels(labels.numbers)
    yield from (f"! {remark}" for remark in remarks)


def say_labels(numbers: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """How often editors agree, and how far a perfect reader could agree with them."""
    agreement, ceiling = numbers["agreement"], numbers["ceiling"]
    if agreement["n_items"]:
        yield (
            f"{agreement['n_items']:,} pairs were judged by several editors, who agree in "
            f"{percent(agreement['share'])} of {agreement['n_comparisons']:,} comparisons"
            + (
                f" ({percent(agreement['low'])} to {percent(agreement['high'])})."
                if "low" in agreement
                else "."
            )
        )
    if ceiling["status"] == "known":
        ends = {name: percent(ceiling[name], places=0) for name in ("low", "high", "lowest", "highest")}
        yield (
            f"Even a perfect reader would agree with {ends['low']} to {ends['high']} of these labels "
            f"({ends['lowest']} to {ends['highest']} with the range of the agreement)."
        )
    else:
        yield f"How far a perfect reader could agree with these labels is unknown: {ceiling['reason']}."


def _write_rule(group: "RuleExamples", n_rows: int) -> Iterator[str]:
    rule = group.result
    if rule.passed:
        weight = "within what is allowed"
    else:
        weight = "ERROR, more than allowed" if rule.severity == "error" else "warning, look at it"
    yield ""
    yield f"{rule.rule}: {weight}"
    shares = f"{percent(rule.share)}, {percent(rule.allowed_share)} allowed"
    counted = f"{rule.n_violations:,} of {n_rows:,} rows break it ({shares})"
    yield f"  {rule.sentence} {counted}{', set aside' if rule.set_aside else ''}."
    for one in group.examples:
        name = f"line {one.line}{' of the further votes' if one.file == 'votes' else ''}"
        name += "" if one.pair_id is None else f", pair {one.pair_id}"
        yield f"    {name}: {one.found}"
    if (n_more := rule.n_violations - len(group.examples)) > 0:
        yield f"    and {n_more:,} more; --all shows every line"
    yield f"  way out: {rule.remedy}"


def refuse_to_overwrite(path: Path) -> None:
    """InputError for a place outside of data/kept/, and for a file there that is no kept split."""
    from stages.data.earlier_split import read_kept
    from stages.run.paths import KEPT

    if path.parent != KEPT:
        raise InputError(f"{path}: lies outside of {KEPT}/, which the split depends on; name a file there")
    try:
        if path.exists():
            read_kept(path)
    except InputError as error:
        raise InputError(
            f"{path}: is no kept split, so it is not overwritten; name another file in {KEPT}/"
        ) from error
