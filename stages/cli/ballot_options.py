"""The arguments that `study` and `labels` share: both take ballots in and reveal what they say."""

from pathlib import Path
from typing import Annotated

import typer

Ballot = Annotated[Path, typer.Argument(help="The file an editor sent.")]
Receipt = Annotated[
    str, typer.Option(help="The receipt the editor sent another way; words around it do no harm.")
]
DespiteMissing = Annotated[str, typer.Option(help="Why it is revealed although ballots are missing.")]
