"""A model's shape before anything is downloaded: from a folder, a package, the cache or a table."""

from pathlib import Path
from typing import NamedTuple

from stages.errors import ModelError
from stages.files.io import read_json
from stages.model_sources.build import only_gguf
from stages.run.params import BaseModelParams
from stages.sizing.shape import KNOWN_MODELS, LEAN_MODEL_TYPES, ModelShape, shape_from_config


class Found(NamedTuple):
    """A shape, where it was found, and whether the weights are here already."""

    shape: ModelShape
    source: str
    is_downloaded: bool


def find_shape(params: BaseModelParams) -> Found:
    """The shape of the model that `base_model` names; ModelError says what is needed where it is unknown."""
    if params.source == "path":
        return Found(read_shape(Path(params.path) / "config.json"), f"{params.path}/config.json", True)
    if params.source == "package":
        name = params.package.split("==")[0]
        file = only_gguf(name)  # ModelError where it is not installed
        if params.package in KNOWN_MODELS:
            return Found(KNOWN_MODELS[params.package], "the table of known models", True)
        return Found(shape_from_gguf(file), f"the GGUF file in {name}", True)

    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(params.repo_id, "config.json", revision=params.revision)
    if isinstance(cached, str):
        weights = list(Path(cached).parent.glob("*.safetensors"))
        return Found(read_shape(Path(cached)), "config.json in the hub's cache", bool(weights))
    if params.repo_id in KNOWN_MODELS:
        return Found(KNOWN_MODELS[params.repo_id], "the table of known models", False)
    raise ModelError(
        f"base_model.repo_id: {params.repo_id} is not in the table, nor its config in the cache; fetch that "
        f"one file with `hf download {params.repo_id} config.json --revision {params.revision}`"
    )


def shape_from_gguf(path: Path) -> ModelShape:
    """From a GGUF file's header; the weights are not read."""
    from gguf import GGUFReader

    reader = GGUFReader(path)

    def number(key: str) -> int:
        field = reader.get_field(key)
        if field is None:
            raise ModelError(f"{path.name}: has no {key}")
        return int(field.parts[field.data[0]][0])

    architecture = reader.get_field("general.architecture")
    if architecture is None:
        raise ModelError(f"{path.name}: has no general.architecture")
    kind = bytes(architecture.parts[architecture.data[0]]).decode()
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    heads, hidden = number(f"{kind}.attention.head_count"), number(f"{kind}.embedding_length")
    head = hidden // heads
    return ModelShape(
        n_layers=number(f"{kind}.block_count"),
        hidden=hidden,
        intermediate=number(f"{kind}.feed_forward_length"),
        query_width=heads * head,
        key_width=number(f"{kind}.attention.head_count_kv") * head,
        vocabulary=int(max(tensors["token_embd.weight"].shape)),
        is_tied="output.weight" not in tensors,
        has_lean_gate=kind in LEAN_MODEL_TYPES,  # by which GGUF means silu gates, too
    )


def read_shape(path: Path) -> ModelShape:
    """From a `config.json`; ModelError where it does not say enough."""
    try:
        return shape_from_config(read_json(path))
    except ValueError as error:
        raise ModelError(
            f"{path}: {error}; `doctor` cannot calculate with it, so put the whole one there"
        ) from error
