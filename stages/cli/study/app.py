"""`bluepencil study`: what the custodian of the blind study does, outside the cached graph.

Each command imports its own module, so that opening a study does not wait for statistics.
"""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="The editor-blind study, from its plan to its reveal.")


@app.command()
def plan() -> None:
    """Say what the design can and cannot show, and write the pre-registration."""
    from stages.cli.study import plan as study_plan

    study_plan.plan()


@app.command("open")
def open_study(
    continues: Annotated[str, typer.Option(help="The study of the first look, for the second of two.")] = "",
) -> None:
    """Draw lots and write one ballot page per editor; the secret goes to study.secret_path."""
    from stages.cli.study import open as study_open

    study_open.open_study(continues=continues)


@app.command()
def status() -> None:
    """Say who is missing, what is wrong and what to do next."""
    from stages.cli.study import status as study_status

    study_status.print_status()


@app.command()
def collect(
    ballot: Annotated[Path, typer.Argument(help="The file an editor sent.")],
    receipt: Annotated[str, typer.Option(help="The receipt the editor sent another way.")] = "",
) -> None:
    """Check a ballot and put it, unchanged, where the pipeline reads it."""
    from stages.cli.study import status as study_status

    study_status.collect_ballot(ballot, receipt=receipt)


@app.command()
def reveal(
    despite_missing: Annotated[
        str, typer.Option(help="Why it is revealed although ballots are missing.")
    ] = "",
) -> None:
    """Check the seal and write the key beside it; from then on anyone can compute the win rate."""
    from stages.cli.study import reveal as study_reveal

    study_reveal.reveal(despite_missing=despite_missing)


@app.command()
def verify(
    study_id: Annotated[
        str, typer.Argument(help="The study; that of the current completions if left out.")
    ] = "",
) -> None:
    """Check every file of a study against its seal, receipts and git; exit code 2 where one does not fit."""
    from stages.cli.study import verify as study_verify

    study_verify.verify(study_id)


@app.command()
def rehearse(
    win_rate: Annotated[float, typer.Option(min=0, max=1, help="The policy's true rate, ties half.")] = 0.65,
    tie_rate: Annotated[float, typer.Option(min=0, max=0.99, help="Share of ties.")] = 0.1,
    agreement: Annotated[float, typer.Option(min=0, max=0.99, help="0: editors agree by chance only.")] = 0.4,
    left_bias: Annotated[
        float, typer.Option(min=0, max=1, help="Share of screens answered left unread.")
    ] = 0.0,
    fatigue: Annotated[
        float, typer.Option(min=0, max=1, help="Share of coin flips at the page's end.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Other simulated editors.")] = 1,
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove the rehearsal and every trace of it.")
    ] = False,
) -> None:
    """Run the whole study with simulated editors, marked as a rehearsal everywhere."""
    from stages.cli.study import rehearse as study_rehearse
    from stages.study.simulation import Habits, Truth

    if clear:
        study_rehearse.clear()
        return
    truth = Truth(win_rate, tie_rate, agreement)
    study_rehearse.rehearse(Habits(truth, left_bias, fatigue), seed=seed)


@app.command("import")
def import_judgements(
    judgements: Annotated[
        Path,
        typer.Argument(
            help="CSV: prompt_id, editor, left, choice[, policy_chars, base_chars]; or Label Studio's JSON."
        ),
    ],
    sides: Annotated[
        Path | None,
        typer.Option(help="CSV: prompt_id, left; for a JSON export whose tasks do not say the side."),
    ] = None,
) -> None:
    """Compute the win rate of judgements made with another tool; it is printed and passes no gate."""
    from stages.cli.study import import_ as study_import

    study_import.import_judgements(judgements, sides)
