"""Pushes a release to a Hugging Face model repository; the only other use of the network."""

from pathlib import Path
from typing import Any

from stages.errors import InputError, first_line
from stages.run.hub import hub_allowed


@hub_allowed()
def check_hub(repo_id: str, version: str) -> None:
    """Before anything is built: is the name sound, are network and token there, is the version free?"""
    from httpx2 import HTTPError  # what huggingface_hub itself talks with; it is no OSError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError
    from huggingface_hub.utils._validators import validate_repo_id

    api = HfApi()
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
        raise InputError(f"--push-to-hub {repo_id}: the hub refuses ({first_line(error)})") from error
    except (OSError, HTTPError) as error:
        raise InputError(
            f"--push-to-hub {repo_id}: the hub cannot be reached ({first_line(error)}); "
            "release without it, and upload the folder later with `hf upload`"
        ) from error
    if version in taken:
        raise InputError(f"--push-to-hub {repo_id}: has a tag {version} already; nothing is overwritten")


@hub_allowed()
def push_folder(folder: Path, repo_id: str, version: str) -> str:
    """Upload the folder as one commit, tag it; returns the commit's address. InputError where that fails."""
    from httpx2 import HTTPError
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        api.create_repo(repo_id, private=True, exist_ok=True)
        done = api.upload_folder(
            repo_id=repo_id, folder_path=folder, commit_message=f"Release {version}", delete_patterns="*"
        )
        api.create_tag(repo_id, tag=version, revision=done.oid)
    except (OSError, HTTPError) as error:
        raise InputError(
            f"--push-to-hub {repo_id}: the upload failed ({first_line(error)}); the release itself is "
            f"complete in {folder}, so upload it again with `hf upload {repo_id} {folder}`"
        ) from error
    return str(done.commit_url)


def _tags(api: Any, repo_id: str) -> list[str]:
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return [tag.name for tag in api.list_repo_refs(repo_id).tags]
    except RepositoryNotFoundError:
        return []  # it will be created
