"""Pushes a release to a Hugging Face model repository; the only other use of the network."""

import os
from pathlib import Path
from typing import Any

from stages.errors import InputError


def check_hub(repo_id: str, version: str) -> None:
    """Before anything is built: is the name sound, are network and token there, is the version free?"""
    api = _api()
    from httpx2 import HTTPError  # what huggingface_hub itself talks with; it is no OSError
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise InputError(f"--push-to-hub {repo_id}: is no repository name ({error})") from error
    try:
        api.whoami()
        taken = _tags(api, repo_id)
    except LocalTokenNotFoundError as error:
        raise InputError(f"--push-to-hub {repo_id}: no token is there; run `hf auth login` first") from error
    except HfHubHTTPError as error:
        raise InputError(f"--push-to-hub {repo_id}: the hub refuses ({_first_line(error)})") from error
    except (OSError, HTTPError) as error:
        raise InputError(
            f"--push-to-hub {repo_id}: the hub cannot be reached ({_first_line(error)}); "
            "release without it, and upload the folder later with `hf upload`"
        ) from error
    if version in taken:
        raise InputError(f"--push-to-hub {repo_id}: has a tag {version} already; nothing is overwritten")


def push_folder(folder: Path, repo_id: str, version: str) -> str:
    """Upload the folder as one commit, tag it; returns the commit's address. InputError where that fails."""
    api = _api()
    from httpx2 import HTTPError

    try:
        api.create_repo(repo_id, private=True, exist_ok=True)
        done = api.upload_folder(
            repo_id=repo_id, folder_path=folder, commit_message=f"Release {version}", delete_patterns="*"
        )
        api.create_tag(repo_id, tag=version, revision=done.oid)
    except (OSError, HTTPError) as error:
        raise InputError(
            f"--push-to-hub {repo_id}: the upload failed ({_first_line(error)}); the release itself is "
            f"complete in {folder}, so upload it again with `hf upload {repo_id} {folder}`"
        ) from error
    return str(done.commit_url)


def _api() -> Any:
    os.environ["HF_HUB_OFFLINE"] = "0"  # asked for by name, so the network may be used
    import huggingface_hub
    from huggingface_hub import constants

    constants.HF_HUB_OFFLINE = False  # where another library imported the hub's first
    return huggingface_hub.HfApi()


def _tags(api: Any, repo_id: str) -> list[str]:
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return [tag.name for tag in api.list_repo_refs(repo_id).tags]
    except RepositoryNotFoundError:
        return []  # it will be created


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
