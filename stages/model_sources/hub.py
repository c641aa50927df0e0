"""One pinned revision of a hub's repository: the small files first, then the weights that its index names."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.errors import ModelError, first_line
from stages.model_sources.files import SMALL_PATTERNS, weight_files
from stages.run.hub import hub_allowed
from stages.run.progress import say, track
from stages.run.shell import in_words

CARD = "README.md"


def fetch(repo_id: str, revision: str, try_first: Callable[[Path], None]) -> Path:
    """The snapshot's folder; `try_first` sees it with config and tokenizer, before any weights come.

    What has come whole stays in the hub's cache, so a second run goes on from there.
    """
    if sys.stderr.isatty():  # read when huggingface_hub is imported
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "0"
    place = f"base_model.repo_id: {repo_id}@{revision}"
    with hub_allowed(), told_in_words(place, repo_id):
        from huggingface_hub import hf_hub_download, snapshot_download

        # a pattern's * takes slashes too, and only the top folder counts
        small = [*SMALL_PATTERNS, CARD]
        snapshot = Path(
            snapshot_download(repo_id, revision=revision, allow_patterns=small, ignore_patterns="*/*")
        )
        try_first(snapshot)
        names = weight_files(snapshot, place)
        say(f"base_model: {len(names)} files of weights of {repo_id}")
        for name in track(names, total=len(names), label="base_model, download", unit="files"):
            hf_hub_download(repo_id, name, revision=revision)
    return snapshot


def licence_of(snapshot: Path) -> str:
    """The licence that the model card states; a card that cannot be read is said, and states none."""
    from huggingface_hub import ModelCard

    if not (snapshot / CARD).exists():
        return "unknown"
    try:
        stated = ModelCard.load(snapshot / CARD).data.get("license")
    except Exception as error:  # noqa: BLE001 - whatever YAML and the card's own checks raise
        say(f"base_model: the model card cannot be read ({first_line(error)}); the licence is unknown")
        return "unknown"
    return str(stated or "unknown")


@contextmanager
def told_in_words(place: str, repo_id: str) -> Iterator[None]:
    """Whatever a hub answers, or does not, as one ModelError with its way out."""
    from httpx2 import HTTPError
    from huggingface_hub import constants, errors

    stays = "what came whole stays, so run it again, or set base_model.source to package or path"
    try:
        yield
    except errors.GatedRepoError as error:
        raise ModelError(
            f"{place}: is gated; accept its terms at {constants.ENDPOINT}/{repo_id} and run `hf auth login`"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(
            f"{place}: the repository has no such revision (any more); name one that its history has"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(
            f"{place}: no such repository, or a private one; check its name, and `hf auth login`"
        ) from error
    except errors.LocalEntryNotFoundError as error:  # nothing in the cache, after the network failed
        raise ModelError(f"{place}: the hub cannot be reached ({_cause(error)}); {stays}") from error
    except errors.EntryNotFoundError as error:
        raise ModelError(
            f"{place}: a file that its index names is not there ({first_line(error)}); name a whole revision"
        ) from error
    except (errors.HfHubHTTPError, HTTPError, OSError) as error:
        if isinstance(error, OSError) and in_words(error) is not None:
            raise  # the disk is full, and says so itself
        raise ModelError(f"{place}: the download broke off ({_cause(error)}); {stays}") from error


def _cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)
