"""`bluepencil release`: the model that was judged, as a folder that can be followed back to its inputs.

The command imports what it needs when it runs, so that `--help` does not wait for statistics.
"""

from pathlib import Path
from typing import Annotated

import typer


def release(
    to: Annotated[
        Path | None,
        typer.Option(help="The folder to write, which must not exist; else releases/<name>-<version>."),
    ] = None,
    override: Annotated[
        str | None, typer.Option(help="Why it ships although the checks forbid it; recorded everywhere.")
    ] = None,
    push_to_hub: Annotated[
        str | None, typer.Option(metavar="REPO", help="A Hugging Face repository to upload the folder to.")
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="A semantic version such as v1.0.0; else the next patch.")
    ] = None,
) -> None:
    """Merge, check and write the model that ships, with its card, page, hashes and lineage."""
    from stages.release.release import release_model

    release_model(to=to, override=override, push_to_hub=push_to_hub, version=version)
