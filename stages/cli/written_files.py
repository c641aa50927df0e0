"""Where a command writes what it was asked for: a slip of the hand should cost no other file."""

from collections.abc import Callable
from pathlib import Path

import typer


def ending_in(suffix: str) -> Callable[[Path | None], Path | None]:
    """A check of an option: params.yaml named by mistake is not overwritten with a page."""

    def check(path: Path | None) -> Path | None:
        if path is not None and path.suffix.lower() != suffix:
            raise typer.BadParameter(f"{path} does not end in {suffix}; name a {suffix} file")
        return path

    return check
