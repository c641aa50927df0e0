"""`bluepencil remote`: where a team shares its results, set up so that damage there is noticed."""

from typing import Annotated
from urllib.parse import urlsplit

import typer

from stages.errors import InputError

SECRETS = "credentials do not belong into git: see docs/sharing.md"


def remote(
    url: Annotated[
        str,
        typer.Argument(help="A folder, ssh://user@host/path or s3://bucket/path.", show_default=False),
    ],
    endpoint_url: Annotated[
        str | None, typer.Option(help="The server of an S3-compatible bucket that is not Amazon's.")
    ] = None,
    name: Annotated[str, typer.Option(help="The remote's name.")] = "team",
    local: Annotated[
        bool, typer.Option("--local", help="For this clone alone; nothing to commit, holds for old variants.")
    ] = False,
) -> None:
    """Make URL the repository's DVC remote. Every object that is pulled from it is hashed again."""
    from dvc.config import Config
    from dvc.exceptions import DvcException

    settings = remote_settings(url, endpoint_url)
    try:
        with Config.from_cwd().edit("local" if local else "repo") as config:
            config["remote"][name] = settings
            config["core"]["remote"] = name
    except DvcException as error:
        raise InputError(f".dvc/config: {error}; correct the URL, or change to the repository") from error
    typer.echo(f"{url} is now the remote {name}; {'' if local else 'commit .dvc/config, then '}`dvc push`")


def remote_settings(url: str, endpoint_url: str | None) -> dict[str, str | bool]:
    """DVC's settings of a remote, `verify` among them: by default DVC believes what it downloads."""
    if not url.strip():
        raise InputError("the URL is empty; name a folder, ssh://user@host/path or s3://bucket/path")
    if urlsplit(url).password is not None or (endpoint_url and urlsplit(endpoint_url).username is not None):
        raise InputError(f"{url}: has a password in it, and .dvc/config is committed; {SECRETS}")
    if endpoint_url and not url.startswith("s3://"):
        raise InputError(f"--endpoint-url {endpoint_url}: only s3:// URLs have one, not {url}; leave it out")
    settings: dict[str, str | bool] = {"url": url, "verify": True}
    return settings | ({"endpointurl": endpoint_url} if endpoint_url else {})
