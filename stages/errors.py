"""Every error Blue Pencil raises for a user's mistake, as one tree.

A message names the place, the rule, what came and the way out. The shell prints it
without a traceback and exits with `exit_code`; anything else is a bug and shows its traceback.
"""


class BluePencilError(Exception):
    """Base of all errors that a user can put right."""

    exit_code = 2


class ParamsError(BluePencilError):
    """`params.yaml` breaks a rule."""


class InputError(BluePencilError):
    """A file the pipeline reads is missing, unreadable or breaks a rule."""


class ModelError(BluePencilError):
    """A checkpoint or tokenizer cannot be used as it is."""


class RuntimeCheckError(BluePencilError):
    """A run stopped itself, because going on would have produced a wrong number."""


class StudyError(BluePencilError):
    """The blind study's files, seal or ballots do not fit together."""


class HarvestError(StudyError):
    """A study that is not revealed, or was harvested before, gives no pairs."""

    exit_code = 1


class ReleaseError(BluePencilError):
    """A release is refused, or one on disk is not what was released."""

    exit_code = 1


def first_line(error: BaseException) -> str:
    """A library's error on one line: its type and the first line of what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
