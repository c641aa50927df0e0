"""`bluepencil`: what people type. Stages are run by DVC and take no options."""

import traceback

import typer

from stages.cli import data, pipeline
from stages.cli.compare import compare
from stages.cli.doctor import doctor
from stages.cli.gate import gate
from stages.cli.release import release
from stages.cli.remote import remote
from stages.cli.report import report
from stages.cli.study import app as study
from stages.release.verify import verify
from stages.run.shell import be_quiet_and_offline, exit_in_words, keep_dvc_state_private

app = typer.Typer(
    name="bluepencil",
    help="From editors' preference pairs to a release decision you can defend.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
CRASHED = 70  # EX_SOFTWARE of sysexits.h
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
app.command(context_settings=PASS_ON)(pipeline.repro)
app.command(context_settings=PASS_ON)(pipeline.exp)
app.command()(pipeline.size)
app.command()(remote)
app.command()(gate)
app.command()(compare)
app.command()(doctor)
app.command()(release)
app.command()(verify)
app.command()(report)
app.add_typer(data.app, name="data", help="Check preference pairs.")
app.add_typer(study.app, name="study", help="Run the editor-blind study.")


def main() -> None:
    """Run a command; a user's mistake becomes its message and its exit code.

    A crash exits with CRASHED: 1 is what `data check` and `gate` say of sound input that does not pass.
    """
    be_quiet_and_offline()
    try:
        keep_dvc_state_private()
        app()
    except Exception as error:
        exit_in_words(error)
        traceback.print_exc()
        raise SystemExit(CRASHED) from error
