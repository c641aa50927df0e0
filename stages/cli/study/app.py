"""`bluepencil study`: what the custodian of the blind study does, outside the cached graph.

Each command imports what it needs, so that opening a study does not wait for statistics.
"""

from pathlib import Path
from typing import Annotated

import typer

from stages.cli.ballot_options import Ballot, DespiteMissing, Receipt

app = typer.Typer(no_args_is_help=True, help="The editor-blind study, from its plan to its reveal.")
StudyId = Annotated[str, typer.Argument(help="The study; that of the present texts if left out.")]


@app.command()
def plan() -> None:
    """Say what the design can and cannot show, and write the pre-registration."""
    from stages.cli.study.plan import plan_study

    plan_study()


@app.command("open")
def open_study(
    continues: Annotated[str, typer.Option(help="The study of the first look, for the second of two.")] = "",
) -> None:
    """Draw lots and write one ballot page per editor; the secret goes to study.secret_path."""
    from stages.study import opening

    opening.open_study(continues=continues)


@app.command()
def status() -> None:
    """Say who is missing, what is wrong and what to do next."""
    from stages.pages.terminal import print_lines
    from stages.run.params import load_params
    from stages.study.status import status_lines

    print_lines(status_lines(load_params()))


@app.command()
def collect(ballot: Ballot, receipt: Receipt = "") -> None:
    """Check a ballot and put it, unchanged, where the pipeline reads it."""
    from stages.study.collecting import collect_ballot

    collect_ballot(ballot, receipt=receipt)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8734,
    beyond_this_machine: Annotated[
        bool, typer.Option("--beyond-this-machine", help="Listen where other machines can reach it.")
    ] = False,
) -> None:
    """Serve each editor's sealed page at a link of its own and take the ballots in, until Ctrl+C."""
    from stages.run.params import load_params
    from stages.serving.server import serve_study

    serve_study(load_params(), host, port, beyond_this_machine=beyond_this_machine)


@app.command("reveal")
def reveal_key(study_id: StudyId = "", despite_missing: DespiteMissing = "") -> None:
    """Check the seal and write the key beside it; from then on anyone can compute the win rate."""
    from stages.cli.study.reveal import reveal

    reveal(despite_missing=despite_missing, study_id=study_id)


@app.command("harvest")
def harvest_votes(
    to: Annotated[Path, typer.Option(help="The .jsonl file, new or of pairs, that the rows are added to.")],
    study_id: StudyId = "",
) -> None:
    """Turn a revealed study into preference pairs, one row a vote, for the next round."""
    from stages.cli.study.harvest import harvest

    harvest(to, study_id)


@app.command()
def verify(study_id: StudyId = "") -> None:
    """Check every file of a study against its seal, receipts and git; exit code 2 where one does not fit."""
    from stages.errors import StudyError
    from stages.pages.terminal import print_lines
    from stages.run.params import load_params
    from stages.study.folder import current_study_id, study_folder
    from stages.study.status import read_state, report_lines

    state = read_state(load_params(), study_id or current_study_id())
    if state.problems:
        count = "1 check does" if len(state.problems) == 1 else f"{len(state.problems)} checks do"
        lines = "\n  ".join(state.problems)
        raise StudyError(f"{study_folder(state.files.study_id)}: {count} not hold\n  {lines}")
    print_lines(report_lines(state))


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
    from stages.cli.study.rehearse import clear_rehearsal, rehearse_study
    from stages.study.simulation import Habits, Truth

    if clear:
        clear_rehearsal()
        return
    truth = Truth(win_rate, tie_rate, agreement)
    rehearse_study(Habits(truth, left_bias, fatigue), seed=seed)


@app.command("import")
def import_judgements(
    judgements: Annotated[
        Path,
        typer.Argument(
            help="Table: prompt_id, editor, left, choice[, policy_chars, base_chars]; or Label Studio's JSON."
        ),
    ],
    sides: Annotated[
        Path | None,
        typer.Option(help="A table: prompt_id, left; for a JSON export whose tasks do not say the side."),
    ] = None,
) -> None:
    """Compute the win rate of judgements made with another tool; it is printed and passes no gate."""
    from stages.files.json_text import dump_json
    from stages.study.imported import measure_imported

    print(dump_json({"imported": measure_imported(judgements, sides)}, indent=2))
