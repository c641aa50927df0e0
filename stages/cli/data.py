"""`bluepencil data check`: are these pairs fit to learn from? For people and for CI."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.files.io import dump_json
from stages.run.params import load_params

if TYPE_CHECKING:
    from stages.data.audits import Audit

app = typer.Typer(help="Check preference pairs.", no_args_is_help=True, pretty_exceptions_enable=False)

BROKEN = 1


@app.callback()
def data() -> None:
    """Check preference pairs."""


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="Pairs as JSONL, CSV or Parquet.", show_default=False)],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
    columns: Annotated[
        list[str] | None,
        typer.Option(help="A column's name in the file and ours, `theirs=ours`; may be given again."),
    ] = None,
) -> None:
    """Check PATH against the rules of params.yaml.

    Exits 0 where the pairs are fit, 1 where they break an error-level rule more often than
    allowed, 2 where they cannot be read.
    """
    from stages.data.checking import read_settings, validate_pairs

    params = load_params()
    mapping = parse_columns(columns) if columns else params.data.columns
    pairs = validate_pairs(path, mapping, read_settings(params.validate_))
    found = describe_check(pairs.checked.rows.n_rows, int(pairs.checked.rows.kept.sum()), pairs.results)
    typer.echo(dump_json(found, indent=2) if as_json else draw_table(path, found, pairs.checked.audit))
    if not found["ok"]:
        raise typer.Exit(BROKEN)


def parse_columns(columns: list[str]) -> dict[str, str]:
    """`theirs=ours` as a mapping; a mistake ends the command with exit code 2."""
    mapping = dict(column.partition("=")[::2] for column in columns)
    if not all(theirs and ours for theirs, ours in mapping.items()):
        raise typer.BadParameter(
            f"theirs=ours was expected, came {' '.join(columns)}", param_hint="--columns"
        )
    return mapping


def describe_check(n_rows: int, n_kept: int, results: list[Any]) -> dict[str, Any]:
    """The counts, the verdict and one entry per rule."""
    return {
        "n_rows": n_rows,
        "n_kept": n_kept,
        "n_set_aside": n_rows - n_kept,
        "ok": n_kept > 0 and all(result.passed or result.severity == "warning" for result in results),
        "rules": [
            {
                "rule": result.rule,
                "severity": result.severity,
                "n_violations": result.n_violations,
                "allowed_share": result.allowed_share,
                "passed": result.passed,
            }
            for result in results
        ],
    }


def draw_table(path: Path, found: dict[str, Any], audit: "Audit") -> str:
    """The same for people: one line per rule, then what stands out, then the verdict."""
    lines = [f"{'rule':40} {'severity':9} {'broken by':>9} {'allowed':>8}"]
    for rule in found["rules"]:
        verdict = "holds" if rule["passed"] else "BROKEN" if rule["severity"] == "error" else "look at it"
        lines.append(
            f"{rule['rule']:40} {rule['severity']:9} {rule['n_violations']:>9} {rule['allowed_share']:>8.1%}"
            f"  {verdict}"
        )
    n_conflicts, n_circles = audit.numbers["n_conflicts"], audit.numbers["n_circles"]
    lines += ["", f"{n_conflicts} pairs of texts judged both ways, {n_circles} circles of three or more"]
    lines += [f"! {remark}" for remark in audit.remarks]
    verdict = "fit to learn from" if found["ok"] else "not fit to learn from"
    lines.append(
        f"{path}: {found['n_rows']} rows, {found['n_kept']} kept, {found['n_set_aside']} set aside: {verdict}"
    )
    return "\n".join(lines)
