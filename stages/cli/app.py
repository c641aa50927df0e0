"""`bluepencil`: what people type. Stages are run by DVC and take no options."""

import importlib.metadata
import io
import os
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from stages.cli import data, labels, pipeline
from stages.cli.compare import compare
from stages.cli.curve import curve
from stages.cli.doctor import doctor
from stages.cli.gate import gate
from stages.cli.plots import plots
from stages.cli.release import release
from stages.cli.remote import remote
from stages.cli.report import report
from stages.cli.study import app as study
from stages.release.verify import verify
from stages.run.shell import be_quiet_and_offline, end_quickly, exit_in_words, keep_dvc_state_private

ORDER = [
    "data",
    "labels",
    "size",
    "doctor",
    "repro",
    "exp",
    "compare",
    "curve",
    "plots",
    "study",
    "gate",
    "report",
    "release",
    "verify",
    "remote",
]


class InTheOrderOfWork(TyperGroup):
    """Commands as `ORDER` has them; typer would name groups after every plain command."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names for `--help`."""
        return sorted(super().list_commands(ctx), key=ORDER.index)


app = typer.Typer(
    name="bluepencil",
    cls=InTheOrderOfWork,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
CRASHED = 70  # EX_SOFTWARE of sysexits.h
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
BEFORE, RUN, JUDGE, SHIP = "Before a run", "Run", "Judge", "Ship and share"
app.add_typer(data.app, name="data", help="Check preference pairs.", rich_help_panel=BEFORE)
app.add_typer(labels.app, name="labels", help="Doubtful labels, judged again.", rich_help_panel=BEFORE)
app.command(rich_help_panel=BEFORE)(pipeline.size)
app.command(rich_help_panel=BEFORE)(doctor)
app.command(context_settings=PASS_ON, rich_help_panel=RUN)(pipeline.repro)
app.command(context_settings=PASS_ON, rich_help_panel=RUN)(pipeline.exp)
app.command(rich_help_panel=RUN)(compare)
app.command(rich_help_panel=RUN)(curve)
app.command(rich_help_panel=RUN)(plots)
app.add_typer(study.app, name="study", help="Run the editor-blind study.", rich_help_panel=JUDGE)
app.command(rich_help_panel=JUDGE)(gate)
app.command(rich_help_panel=JUDGE)(report)
app.command(rich_help_panel=SHIP)(release)
app.command(rich_help_panel=SHIP)(verify)
app.command(rich_help_panel=SHIP)(remote)


def print_version(is_asked: bool) -> None:
    """Print the version and exit, where it is asked for."""
    if is_asked:
        typer.echo(f"bluepencil {importlib.metadata.version('bluepencil')}")
        raise typer.Exit


@app.callback()
def bluepencil(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """From editors' preference pairs to a release decision you can defend."""


def main() -> None:
    """Run a command; a user's mistake becomes its message and its exit code.

    A crash exits with CRASHED: 1 is what `data check` and `gate` say of sound input that does not pass.
    """
    be_quiet_and_offline()
    end_quickly()
    outlive_readers()
    try:
        keep_dvc_state_private()
        app()
    except Exception as error:
        exit_in_words(error)
        traceback.print_exc()
        raise SystemExit(CRASHED) from error


class PatientOutput(io.FileIO):
    """Standard output whose reader may leave, as `| head -1` does: what is left to print goes nowhere.

    typer and rich would end the command with 1, which `gate` and `data check` say of what does not pass.
    """

    def write(self, data: Any) -> int:
        """Write, to nobody where nobody reads."""
        try:
            return super().write(data)
        except BrokenPipeError:
            self._go_nowhere()
            return len(data)
        except OSError:
            self._go_nowhere()  # Python would try again as it ends, and print a traceback
            raise

    def _go_nowhere(self) -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())


def outlive_readers() -> None:
    """Have standard output end no command: not when its reader leaves, nor at a letter that it cannot write.

    Where a terminal or a pipe is not UTF-8, such a letter is printed by its number, as on standard error.
    """
    old = sys.stdout
    if not isinstance(old, io.TextIOWrapper):
        return
    old.flush()
    try:
        patient = PatientOutput(old.fileno(), "wb", closefd=False)
    except io.UnsupportedOperation:  # what is printed goes to memory, as in a notebook or a test
        return
    raw = io.BufferedWriter(patient)
    writes_anything = old.errors not in ("strict", "surrogateescape")  # the latter in the C locale
    errors = old.errors if writes_anything else "backslashreplace"
    sys.stdout = io.TextIOWrapper(
        raw, encoding=old.encoding, errors=errors, line_buffering=old.line_buffering
    )
